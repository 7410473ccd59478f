# What is built, from vars/<os>.pkrvars.hcl.
variable "os" {
  description = "Amazon Linux release."
  type        = string
  validation {
    condition     = contains(["al2", "al2023"], var.os)
    error_message = "Unknown OS; use al2 or al2023 (packer/vars/al2.pkrvars.hcl, packer/vars/al2023.pkrvars.hcl)."
  }
}

variable "architecture" {
  description = "Processor architecture of the image."
  type        = string
  default     = "x86_64"
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Unknown architecture; use x86_64 or arm64."
  }
}

variable "source_ami_parameters" {
  description = "Architecture to the Systems Manager parameter with the id of the newest base image."
  type        = map(string)
  validation {
    condition     = alltrue([for name in values(var.source_ami_parameters) : can(regex("^/[A-Za-z0-9._/-]+$", name))])
    error_message = "Each value must be the full name of a parameter, such as /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64."
  }
}

variable "root_volume_gib" {
  description = "Size of the root volume in GiB; at least that of the base image."
  type        = number
  default     = 16
  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 16384
    error_message = "The root volume takes 8 to 16384 GiB."
  }
}

# Where and for whom, from vars/<environment>.pkrvars.hcl.
variable "environment" {
  description = "Environment of the image; its variables come from inventory/<environment>/group_vars."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.environment))
    error_message = "The environment is a word of 2 to 16 small letters and digits with a directory in inventory/, such as prod."
  }
}

variable "region" {
  description = "Region to build in."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must look like us-east-1."
  }
}

variable "copy_regions" {
  description = "Regions to copy the image to, each encrypted with its own key."
  type        = list(string)
  default     = ["us-west-2"]
  validation {
    condition     = alltrue([for r in var.copy_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", r))])
    error_message = "Each region must look like us-west-2."
  }
}

variable "kms_keys" {
  description = "Region to the KMS key (alias or ARN) that encrypts the image there; one for the build region and for every copy region."
  type        = map(string)
  validation {
    condition     = alltrue([for k in values(var.kms_keys) : can(regex("^(alias/[A-Za-z0-9/_-]+|arn:aws[a-z-]*:kms:.+)$", k))])
    error_message = "Each key must be an alias (alias/…) or a full ARN."
  }
  validation {
    condition     = alltrue([for k in values(var.kms_keys) : k != "alias/aws/ebs"])
    error_message = "Use a key of your own: images encrypted with alias/aws/ebs can't be shared with another account."
  }
  # Found only when the finished image is copied there.
  validation {
    condition = alltrue([
      for region, k in var.kms_keys : can(regex("^alias/", k)) || can(regex("^arn:aws[a-z-]*:kms:${region}:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$", k))
    ])
    error_message = "An ARN of a key must be whole, arn:aws:kms:<region>:<account>:key/<id>, and of the region that it is given for."
  }
}

variable "instance_types" {
  description = "Architecture to the instance type that the image is built on."
  type        = map(string)
  default = {
    x86_64 = "t3.medium"
    arm64  = "t4g.medium"
  }
}

variable "subnet_filters" {
  description = "Filters of DescribeSubnets that find the subnet to build in; of several the one with most free addresses is taken."
  type        = map(string)
  validation {
    condition     = length(var.subnet_filters) > 0
    error_message = "Name at least one filter, such as \"tag:Tier\" = \"app\"."
  }
}

variable "ssh_source_cidrs" {
  description = "Who may reach the build instance by SSH, while it exists."
  type        = list(string)
  default     = ["10.0.0.0/16"]
  validation {
    condition     = length(var.ssh_source_cidrs) > 0 && alltrue([for c in var.ssh_source_cidrs : can(cidrnetmask(c)) && c != "0.0.0.0/0"])
    error_message = "Give networks such as 10.0.0.0/16; 0.0.0.0/0 (everybody) is refused."
  }
}

variable "ssh_interface" {
  description = "How Packer reaches the build instance: private_ip or session_manager (needs instance_profile and the Session Manager plugin)."
  type        = string
  default     = "private_ip"
  validation {
    condition     = contains(["private_ip", "session_manager"], var.ssh_interface)
    error_message = "The interface is private_ip or session_manager."
  }
}

variable "instance_profile" {
  description = "Instance profile of the build instance. Not needed for private_ip: the application's artifact is fetched with a signed address."
  type        = string
  default     = null
}

variable "deprecate_after_days" {
  description = "Days until EC2 marks the image as deprecated; 0 for never."
  type        = number
  default     = 180
  validation {
    condition     = var.deprecate_after_days >= 0 && var.deprecate_after_days <= 3650
    error_message = "Give 0 (never) to 3650 days."
  }
}

variable "tags" {
  description = "Tags of everything that the build makes, beside those it sets itself."
  type        = map(string)
  validation {
    condition     = alltrue([for t in ["Application", "Team", "Cost-Center"] : contains(keys(var.tags), t)])
    error_message = "The tags Application, Team and Cost-Center are required."
  }
  # What AWS refuses only when the image is there and is to be tagged or named ("Tag your Amazon EC2 resources", CreateImage).
  validation {
    condition     = alltrue([for k in keys(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", k))])
    error_message = "A tag's key takes 1 to 128 letters, digits, spaces and _ . : / = + - @."
  }
  validation {
    condition     = alltrue([for k in keys(var.tags) : !can(regex("(?i)^aws:", k))])
    error_message = "A tag's key must not begin with aws: (AWS sets those itself)."
  }
  validation {
    condition     = alltrue([for v in values(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", v))])
    error_message = "A tag's value takes at most 256 letters, digits, spaces and _ . : / = + - @."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", var.tags["Application"]))
    error_message = "The tag Application is part of the image's name and description: 1 to 80 letters, digits and . _ -, of which the first is a letter or digit."
  }
  validation {
    condition = length(setintersection(keys(var.tags), [
      "Name", "Role", "State", "Environment", "OS", "Architecture", "SourceAmi", "GitCommit", "ArtifactVersion", "ArtifactSha256",
      "ManifestDigest", "HardeningReport", "HardeningScore",
    ])) == 0
    error_message = "The build and the publication set the tags Name, Role, State, Environment, OS, Architecture, SourceAmi, GitCommit, Artifact…, ManifestDigest and Hardening… themselves."
  }
  validation {
    condition     = length(var.tags) <= 37
    error_message = "Give at most 37 tags: AWS takes 50, and the build and the publication set 13."
  }
}

# What goes in: the application's release, and what the image is made from.
variable "artifact_url" {
  description = "Where the application's release is: s3://bucket/key, https://… or file:///…."
  type        = string
  validation {
    condition     = can(regex("^(s3|https|file)://.+", var.artifact_url))
    error_message = "The artifact's address must start with s3://, https:// or file://."
  }
}

variable "artifact_sha256" {
  description = "SHA-256 of the artifact; the build stops if it differs."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.artifact_sha256))
    error_message = "The checksum must be 64 hexadecimal digits in small letters."
  }
}

variable "artifact_version" {
  description = "Version of the artifact; the image's /version must answer it."
  type        = string
  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", var.artifact_version))
    error_message = "The version takes letters, digits and . + _ -, at most 64."
  }
}

variable "artifact_kind" {
  description = "What runs the artifact."
  type        = string
  default     = "nodejs"
  validation {
    condition     = contains(["nodejs", "python", "java"], var.artifact_kind)
    error_message = "The kind is nodejs, python or java."
  }
}

variable "artifact_runtime" {
  description = "Archive of the runtime that the artifact brings (app_runtime_runtime): {url, sha256}. Needed for nodejs on al2."
  type        = object({ url = string, sha256 = string })
  default     = null
  validation {
    condition     = var.artifact_runtime == null ? true : can(regex("^(s3|https|file)://.+ [0-9a-f]{64}$", "${var.artifact_runtime.url} ${var.artifact_runtime.sha256}"))
    error_message = "The runtime takes a url that starts with s3://, https:// or file://, and a sha256 of 64 hexadecimal digits in small letters."
  }
}

variable "git_commit" {
  description = "Commit of the repository that the image is made from (inventory and variable files): git rev-parse HEAD."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{40}(-dirty)?$", var.git_commit))
    error_message = "The commit must be 40 hexadecimal digits, with -dirty after them if there are changes."
  }
}
