"""The local AWS: real machines and load balancers behind the AWS API, for demonstrations and tests."""
