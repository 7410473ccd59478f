environment = "lab"
kms_keys = {
  us-east-1 = "alias/fleet-ebs"
  us-west-2 = "alias/fleet-ebs"
}
subnet_filters = {
  "tag:Tier" = "app"
}
tags = {
  Application = "ecommerce-web"
  Team        = "platform-team"
  Cost-Center = "engineering"
}
