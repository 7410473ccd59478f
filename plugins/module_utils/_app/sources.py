# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host fetches from AWS with its own role: an application's values (parameters below a path, secrets by name), and its release.

Runs on the hosts, under Python 2.7 and 3.7+, in the application's fetching services: no Ansible is there.
"""

from __future__ import absolute_import, division, print_function

import base64
import json
import os
import re
import subprocess

from .._host.imds import Imds, ImdsError
from .environment import NAME, taken, unfit, value_of

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
    "get-object": (
        "artifact",
        "s3:GetObject on it, s3:ListBucket to be told when it is not there, and kms:Decrypt on its key if it has one of its own",
    ),
}
"""Operation: what it asks for, and the right that it takes."""
MISSING = ("ResourceNotFoundException", "ParameterNotFound", "NoSuchKey", "NoSuchBucket")
DENIED = ("AccessDeniedException", "AccessDenied", "403")

FILE_INSTEAD = {
    "parameter": "Parameters become environment variables only: keep it in Secrets Manager and name it in app_runtime_secrets with file",
    "secret": "Give it file instead of environment in app_runtime_secrets",
}
"""What to do with a value that only a file can have."""


class ValuesError(Exception):
    """What could not be fetched, for a person. Never contains a value."""


class Aws:
    """Calls of the AWS command line in one region."""

    def __init__(self, region):
        self.region = region or region_of_host()

    def call(self, service, operation, *words, **options):
        """The answer's JSON. Raises ValuesError naming what is asked for. Takes `seconds` at most (CALL_SECONDS)."""
        seconds = options.get("seconds", CALL_SECONDS)
        argv = ["timeout", str(seconds), "aws", service, operation] + list(words)
        argv += ["--region", self.region, "--output", "json", "--cli-connect-timeout", "5", "--cli-read-timeout", "20"]
        environment = dict(os.environ, AWS_PAGER="", AWS_MAX_ATTEMPTS="3", AWS_RETRY_MODE="standard")
        try:
            process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise ValuesError("the AWS command line can't be started: %s" % error)
        out, err = process.communicate()
        if process.returncode != 0:
            raise ValuesError(
                explain(operation, subject(operation, words), self.region, err.decode("utf-8", "replace"), seconds)
            )
        try:
            return json.loads(out.decode("utf-8"))
        except ValueError:
            raise ValuesError("the AWS command line's answer about %s is not JSON" % subject(operation, words))


def region_of_host():
    """AWS_REGION, or where the instance runs (IMDSv2)."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        return region
    try:
        region = Imds().get("placement/region")
    except ImdsError as error:
        raise ValuesError("the region is not known from the instance metadata service: %s" % error)
    if not region:
        raise ValuesError("the region is not known: instance metadata has none")
    return region


def subject(operation, words):
    """What a call asks for, by the words of its command line."""
    return "s3://%s/%s" % (words[1], words[3]) if operation == "get-object" else words[1]


def explain(operation, name, region, output, seconds=CALL_SECONDS):
    """The error output of the AWS command line as a sentence that says what to do."""
    kind, needed = CALLS[operation]
    match = re.search(r"An error occurred \((\w+)\)", output)
    code = match.group(1) if match else ""
    if code in MISSING:
        return "there is no %s %s in %s, or it has no current value" % (kind, name, region)
    if code in DENIED:
        return "the instance's role may not read the %s %s in %s; it needs %s" % (kind, name, region, needed)
    if "Unable to locate credentials" in output:
        return "the instance has no role, so the %s %s can't be read; attach an instance profile" % (kind, name)
    last = ([line for line in output.strip().splitlines() if line.strip()] or ["no answer in %s s" % seconds])[-1]
    return "the %s %s in %s can't be read: %s" % (kind, name, region, last.strip())


def collect(desired, aws):
    """All values: ({environment variable: text}, {file name: bytes}). `desired`: {parameters_path, secrets} of the role's variables."""
    environment = {}  # type: dict[str, str]
    origin = {}  # type: dict[str, str]
    files = {}
    if desired["parameters_path"]:
        for name, source, value in parameters(desired["parameters_path"], aws):
            place(environment, origin, name, source, value)
    answers = {}
    for secret in desired["secrets"]:
        if secret["name"] not in answers:
            answers[secret["name"]] = aws.call("secretsmanager", "get-secret-value", "--secret-id", secret["name"])
        value = secret_value(answers[secret["name"]], secret)
        if secret.get("file"):
            files[secret["file"]] = value
        else:
            place(
                environment, origin, secret["environment"], "secret " + secret["name"], as_text(value, secret["name"])
            )
    return environment, files


def parameters(path, aws):
    """(environment variable, parameter's name, value) of each parameter below the path."""
    answer = aws.call("ssm", "get-parameters-by-path", "--path", path, "--recursive", "--with-decryption")
    if not answer["Parameters"]:
        raise ValuesError("there is no parameter below %s in %s" % (path, aws.region))
    return [
        (variable_of(path, found["Name"]), "parameter " + found["Name"], found["Value"])
        for found in answer["Parameters"]
    ]


def variable_of(path, name):
    """Below `/fleet/app/config`, `/fleet/app/config/log/level` is `LOG_LEVEL`."""
    return re.sub(r"[/.-]+", "_", name[len(path.rstrip("/")) + 1 :]).upper()


def place(environment, origin, name, source, value):
    """Adds a variable that nothing else sets."""
    if not NAME.match(name) or taken(name):
        reason = "it is set by %s" % taken(name) if taken(name) else "a name has letters, digits and _ only"
        raise ValuesError("%s would be the environment variable %s, which can't be set: %s" % (source, name, reason))
    if name in environment:
        raise ValuesError("both %s and %s would be the environment variable %s" % (origin[name], source, name))
    value = value_of(value)
    character = unfit(value)
    if character:
        raise ValuesError(
            "%s has %s, so it can't be the environment variable %s. %s"
            % (source, character, name, FILE_INSTEAD["secret" if source.startswith("secret ") else "parameter"])
        )
    environment[name] = value
    origin[name] = source


def secret_value(answer, secret):
    """The bytes of a secret, or of one key of its JSON."""
    if "SecretString" in answer:
        raw = answer["SecretString"].encode("utf-8")
    else:
        raw = base64.b64decode(answer["SecretBinary"])
    key = secret.get("json_key")
    if not key:
        return raw
    try:
        found = json.loads(raw.decode("utf-8"))
    except ValueError:
        raise ValuesError("secret %s is not JSON, so it has no key %s" % (secret["name"], key))
    if not isinstance(found, dict) or key not in found:
        raise ValuesError("secret %s has no key %s" % (secret["name"], key))
    value = found[key]
    try:
        return (value if hasattr(value, "encode") else json.dumps(value)).encode("utf-8")
    except UnicodeEncodeError:  # JSON can name it, and no text can have it
        raise ValuesError("secret %s has half of a surrogate pair in its key %s" % (secret["name"], key))


def as_text(raw, name):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValuesError(
            "secret %s is not text, so it can't be an environment variable. %s" % (name, FILE_INSTEAD["secret"])
        )
