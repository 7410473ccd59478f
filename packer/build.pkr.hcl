build {
  name    = "web"
  sources = ["source.amazon-ebs.web"]

  # The collection's own roles, as on a live host, and nothing else. The environment's group_vars come with its second inventory.
  provisioner "ansible" {
    playbook_file = "${abspath(path.root)}/bake.yml"
    host_alias    = "bake"
    groups        = ["web"]
    user          = "ec2-user"
    use_proxy     = false
    ansible_env_vars = [
      "ANSIBLE_CONFIG=${local.repository}/ansible.cfg",
      "ANSIBLE_CALLBACKS_ENABLED=ansible.posix.profile_roles",
      # The instance is minutes old and its key is known to nobody; it must not stay in known_hosts either.
      "ANSIBLE_HOST_KEY_CHECKING=False",
      "ANSIBLE_SSH_ARGS=-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=5 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    ]
    extra_arguments = [
      "--inventory", local.group_vars,
      "--extra-vars",
      jsonencode({
        fleet_os              = var.os
        fleet_report_dir      = local.kept
        fleet_release         = local.artifact
        image_finish_fetch_to = "${local.kept}/image-manifest.json"
        image_finish_inputs = {
          image_name      = local.name
          source_ami      = data.amazon-parameterstore.source_ami.value
          source_ami_name = var.source_ami_parameters[var.architecture]
          architecture    = var.architecture
          git_commit      = var.git_commit
          artifact        = local.artifact
        }
      }),
    ]
  }

  post-processor "manifest" {
    output = "${local.repository}/build/packer/${var.os}.manifest.json"
    custom_data = {
      image_name  = local.name
      environment = var.environment
      os          = var.os
      git_commit  = var.git_commit
    }
  }
}
