"""The AWS API: moto, with the lab's own records and handlers, and the reconciler that makes machines and load balancers match them."""
