os = "al2023"
source_ami_parameters = {
  x86_64 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
  arm64  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}
