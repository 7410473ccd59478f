# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publishes the host's SSH public keys in Parameter Store, so that whoever connects can verify them.

    host_keys.py /fleet/host-keys

writes the parameter `/fleet/host-keys/<instance-id>`: a line `type base64` for each key of sshd. It asks again and again for
`SECONDS`, then it fails; systemd starts it anew. Its output goes to the journal. Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import random
import sys
import time

from ansible_collections.ecommerce.fleet.plugins.module_utils._host import processes
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import Aws, AwsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.imds import Imds, ImdsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sshd import parse

SECONDS = 600
LONGEST_PAUSE = 60
TAG = "InstanceArn"
"""Of the parameter. A policy compares it with `ec2:SourceInstanceARN`, so that no host overwrites another one's."""
CONNECTION = "user=root,host=localhost,addr=127.0.0.1"
"""Where sshd_config has Match blocks, older sshds do not answer without one."""
clock = getattr(time, "monotonic", time.time)  # the host's clock may be set while it boots
FAILURES = (AwsError, ImdsError, HostError, EnvironmentError)


def public_keys(run):
    """`type base64` of each host key that sshd offers. Raises HostError where there is none yet."""
    done = run(["sshd", "-T", "-C", CONNECTION])
    if done.code != 0:
        raise HostError("sshd can't be asked for its host keys (sshd -T): %s" % done.output)
    found = []
    for path in parse(done.out).get("hostkey", "").split():
        try:
            with open(path + ".pub") as stream:
                words = stream.read().split()
        except EnvironmentError:  # configured, but not made
            continue
        if len(words) >= 2:
            found.append(" ".join(words[:2]))
    if not found:
        raise HostError("sshd has no host key yet")
    return sorted(set(found))


def identity(metadata):
    """(instance id, its ARN)."""
    paths = ["instance-id", "services/partition", "placement/region", "mac"]
    values = [metadata.get(path) for path in paths]
    account = metadata.get("network/interfaces/macs/%s/owner-id" % values[3])
    if not all(values) or not account:
        raise ImdsError("it does not say which instance this is")
    instance, partition, region = values[:3]
    return instance, "arn:%s:ec2:%s:%s:instance/%s" % (partition, region, account, instance)


def publish(path, aws, metadata, run):
    """Writes the parameter where it differs. Returns a sentence. Raises one of FAILURES."""
    value = "\n".join(public_keys(run))
    instance, arn = identity(metadata)
    name = "%s/%s" % (path.rstrip("/"), instance)
    before = current(aws, name)
    if before == value:
        return "%s has this host's keys" % name
    words = ["--name", name, "--type", "String", "--value", value]
    # A tag can be given only to a new one.
    words += ["--tags", "Key=%s,Value=%s" % (TAG, arn)] if before is None else ["--overwrite"]
    aws.call("ssm", "put-parameter", *words)
    return "%s is written" % name


def current(aws, name):
    """The parameter's value, None where there is none."""
    try:
        return aws.call("ssm", "get-parameter", "--name", name)["Parameter"]["Value"]
    except AwsError as error:
        if error.missing:
            return None
        raise


def until_published(attempt, say, seconds=SECONDS):
    """Tries until it works, with longer and longer pauses, by chance: hosts that boot together share a rate. Raises the last failure."""
    deadline = clock() + seconds
    pause, said = 2.0, ""
    while True:
        try:
            say(attempt())
            return
        except FAILURES as error:
            failure = error
        if "%s" % failure != said:
            said = "%s" % failure
            say("not yet: %s" % said)
        rest = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if clock() + rest > deadline:
            raise failure
        time.sleep(rest)
        pause = min(pause * 2, LONGEST_PAUSE)


def main(argv):
    def say(sentence):
        sys.stdout.write("host keys: %s\n" % sentence)
        sys.stdout.flush()

    try:
        until_published(lambda: publish(argv[1], Aws(""), Imds(), processes.run), say)
    except FAILURES as error:
        sys.stderr.write("host keys: they are not published, so nobody can verify this host: %s\n" % error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
