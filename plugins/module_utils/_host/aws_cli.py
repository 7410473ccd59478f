# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of AWS by its command line, as the instance's role. Runs on the hosts, under Python 2.7 and 3.7+, also where no Ansible is."""

from __future__ import absolute_import, division, print_function

import json
import os
import re
import subprocess

from .imds import Imds, ImdsError

__metaclass__ = type

CALL_SECONDS = 60
FETCH_SECONDS = 600
"""For a call that answers with a file."""
CALLS = {
    "get-secret-value": (
        "secret",
        "secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if it has one of its own",
    ),
    "get-parameters-by-path": (
        "path",
        "ssm:GetParametersByPath on it, and kms:Decrypt on the key of its SecureStrings",
    ),
    "get-parameter": ("parameter", "ssm:GetParameter on it"),
    "put-parameter": ("parameter", "ssm:PutParameter on it, and ssm:AddTagsToResource while it is not there"),
    "get-object": (
        "artifact",
        "s3:GetObject on it, s3:ListBucket to be told when it is not there, and kms:Decrypt on its key if it has one of its own",
    ),
}
"""Operation: what it asks for, and the right that it takes."""
MISSING = ("ResourceNotFoundException", "ParameterNotFound", "NoSuchKey", "NoSuchBucket")
WRITES = ("put-parameter",)
DENIED = ("AccessDeniedException", "AccessDenied", "403")


class AwsError(Exception):
    """What could not be done, for a person. `missing`: what was asked for is not there."""

    def __init__(self, sentence, missing=False):
        Exception.__init__(self, sentence)
        self.missing = missing


class Aws:
    """Calls of the AWS command line in one region."""

    def __init__(self, region):
        self.region = region or region_of_host()

    def call(self, service, operation, *words, **options):
        """The answer's JSON. Raises AwsError naming what is asked for. Takes `seconds` at most (CALL_SECONDS)."""
        seconds = options.get("seconds", CALL_SECONDS)
        argv = ["timeout", str(seconds), "aws", service, operation] + list(words)
        argv += ["--region", self.region, "--output", "json", "--cli-connect-timeout", "5", "--cli-read-timeout", "20"]
        environment = dict(os.environ, AWS_PAGER="", AWS_MAX_ATTEMPTS="3", AWS_RETRY_MODE="standard")
        try:
            process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise AwsError("the AWS command line can't be started: %s" % error)
        out, err = process.communicate()
        if process.returncode != 0:
            output = err.decode("utf-8", "replace")
            sentence = explain(operation, subject(operation, words), self.region, output, seconds)
            raise AwsError(sentence, missing=error_code(output) in MISSING)
        try:
            return json.loads(out.decode("utf-8"))
        except ValueError:
            raise AwsError("the AWS command line's answer about %s is not JSON" % subject(operation, words))


def region_of_host():
    """AWS_REGION, or where the instance runs (IMDSv2)."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        return region
    try:
        region = Imds().get("placement/region")
    except ImdsError as error:
        raise AwsError("the region is not known from the instance metadata service: %s" % error)
    if not region:
        raise AwsError("the region is not known: instance metadata has none")
    return region


def subject(operation, words):
    """What a call asks for, by the words of its command line."""
    return "s3://%s/%s" % (words[1], words[3]) if operation == "get-object" else words[1]


def error_code(output):
    """AWS's code in the error output of the command line, or ''."""
    match = re.search(r"An error occurred \((\w+)\)", output)
    return match.group(1) if match else ""


def explain(operation, name, region, output, seconds=CALL_SECONDS):
    """The error output of the AWS command line as a sentence that says what to do."""
    kind, needed = CALLS[operation]
    code = error_code(output)
    verb, done = ("write", "written") if operation in WRITES else ("read", "read")
    if code in MISSING:
        return "there is no %s %s in %s, or it has no current value" % (kind, name, region)
    if code in DENIED:
        return "the instance's role may not %s the %s %s in %s; it needs %s" % (verb, kind, name, region, needed)
    if "Unable to locate credentials" in output:
        return "the instance has no role, so the %s %s can't be %s; attach an instance profile" % (kind, name, done)
    last = ([line for line in output.strip().splitlines() if line.strip()] or ["no answer in %s s" % seconds])[-1]
    return "the %s %s in %s can't be %s: %s" % (kind, name, region, done, last.strip())
