# Amazon Linux 2. Its standard support ended on 2026-06-30; use al2023 for new fleets.
os = "al2"
source_ami_parameters = {
  x86_64 = "/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2"
  arm64  = "/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-arm64-gp2"
}
