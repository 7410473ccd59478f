# The newest base image, by the parameter that its maker publishes.
data "amazon-parameterstore" "source_ami" {
  region = var.region
  name   = var.source_ami_parameters[var.architecture]
}

locals {
  repository = abspath("${path.root}/..")
  # A file without hosts beside the environment's group_vars; file() stops where there is none.
  inventory  = "${local.repository}/inventory/${var.environment}/bake.yml"
  group_vars = [local.inventory, file(local.inventory)][0]
  regions    = distinct(concat([var.region], var.copy_regions))
  stamp      = formatdate("YYYYMMDD'T'hhmmss'Z'", timestamp())
  name       = "${var.tags["Application"]}-${var.environment}-${var.os}-${var.architecture}-${local.stamp}"
  # Of its own, so that two bakes side by side don't mix.
  kept = "${local.repository}/build/packer/${local.name}"

  artifact = merge({
    kind    = var.artifact_kind
    version = var.artifact_version
    url     = var.artifact_url
    sha256  = var.artifact_sha256
  }, { for name, value in { runtime = var.artifact_runtime } : name => value if value != null })

  tags = merge(var.tags, {
    Environment = var.environment
    OS          = var.os
  })
  run_tags = merge(local.tags, { Name = "bake ${local.name}", Role = "bake" })
  # An image is a candidate until ecommerce.fleet.publish_image has booted and tested it in every region.
  image_tags = merge(local.tags, {
    Name            = local.name
    Role            = "web"
    State           = "candidate"
    Architecture    = var.architecture
    SourceAmi       = data.amazon-parameterstore.source_ami.value
    GitCommit       = var.git_commit
    ArtifactVersion = var.artifact_version
    ArtifactSha256  = var.artifact_sha256
  })
}

source "amazon-ebs" "web" {
  region        = var.region
  source_ami    = data.amazon-parameterstore.source_ami.value
  instance_type = var.instance_types[var.architecture]

  subnet_filter {
    filters   = var.subnet_filters
    most_free = true
  }
  associate_public_ip_address           = false
  temporary_security_group_source_cidrs = var.ssh_source_cidrs
  iam_instance_profile                  = var.instance_profile
  shutdown_behavior                     = "terminate"

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.root_volume_gib
    encrypted             = true
    kms_key_id            = var.kms_keys[var.region]
    delete_on_termination = true
  }

  communicator            = "ssh"
  ssh_username            = "ec2-user"
  ssh_interface           = var.ssh_interface
  ssh_timeout             = "5m"
  temporary_key_pair_type = "ed25519"

  ami_name           = local.name
  ami_description    = "${var.tags["Application"]} web host on ${var.os}, release ${var.artifact_version}"
  ena_support        = true
  imds_support       = "v2.0"
  encrypt_boot       = true
  kms_key_id         = var.kms_keys[var.region]
  ami_regions        = local.regions
  region_kms_key_ids = { for region in local.regions : region => var.kms_keys[region] }
  deprecate_at       = var.deprecate_after_days == 0 ? null : timeadd(timestamp(), "${var.deprecate_after_days * 24}h")

  tags            = local.image_tags
  snapshot_tags   = local.image_tags
  run_tags        = local.run_tags
  run_volume_tags = local.run_tags
}
