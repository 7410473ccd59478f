"""The hardening engine: evaluates controls on a host. Runs on the hosts, under Python 2.7 and 3.6+, standard library only."""
