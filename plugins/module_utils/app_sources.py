# Copyright: The ecommerce.fleet maintainers
# MIT License
"""An application's values as AWS has them: parameters below a path, secrets by name. Fetched on the host with its own role.

Runs on the hosts, under Python 2.7 and 3.7+, in the application's fetching service: no Ansible is there.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import base64
import json
import os
import re
import subprocess

try:
    from http.client import HTTPConnection, HTTPException
except ImportError:  # Python 2.7
    from httplib import HTTPConnection, HTTPException  # type: ignore[import-not-found,no-redef]

CALL_SECONDS = 60
METADATA = "169.254.169.254"
METADATA_SECONDS = 3
NAME = re.compile(r"^[A-Z_][A-Z0-9_]*$")
RESERVED = ("PORT", "CREDENTIALS_DIRECTORY")
NEEDED = {
    "secretsmanager": "secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if it has one of its own",
    "ssm": "ssm:GetParametersByPath on it, and kms:Decrypt on the key of its SecureStrings",
}


class ValuesError(Exception):
    """Says for a person what could not be had. Never holds a value."""


class Aws:
    """Calls of the AWS command line in one region."""

    def __init__(self, region):
        self.region = region or region_of_host()

    def call(self, service, operation, *words):
        """The answer's JSON. Raises ValuesError naming `words[1]`, which is what is asked for."""
        argv = ["timeout", str(CALL_SECONDS), "aws", service, operation] + list(words)
        argv += ["--region", self.region, "--output", "json", "--cli-connect-timeout", "5", "--cli-read-timeout", "20"]
        environment = dict(os.environ, AWS_PAGER="", AWS_MAX_ATTEMPTS="3", AWS_RETRY_MODE="standard")
        try:
            process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise ValuesError("the AWS command line can't be started: %s" % error)
        out, err = process.communicate()
        if process.returncode != 0:
            raise ValuesError(explain(service, words[1], self.region, err.decode("utf-8", "replace")))
        return json.loads(out.decode("utf-8"))


def region_of_host():
    """AWS_REGION, or where the instance runs (IMDSv2)."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        return region
    connection = HTTPConnection(METADATA, timeout=METADATA_SECONDS)
    try:
        connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        token = connection.getresponse().read().decode("ascii")
        connection.request("GET", "/latest/meta-data/placement/region", headers={"X-aws-ec2-metadata-token": token})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValuesError("the instance metadata service answered %s for the region" % answer.status)
        return answer.read().decode("ascii").strip()
    except (OSError, IOError, HTTPException) as error:
        raise ValuesError("the region is not known: the instance metadata service does not answer (%s)" % error)
    finally:
        connection.close()


def explain(service, subject, region, said):
    """The command line's last words as a sentence that says what to do."""
    kind = "secret" if service == "secretsmanager" else "path"
    match = re.search(r"An error occurred \((\w+)\)", said)
    code = match.group(1) if match else ""
    if code == "ResourceNotFoundException":
        return "there is no %s %s in %s, or it has no current value" % (kind, subject, region)
    if code in ("AccessDeniedException", "AccessDenied"):
        return "the instance's role may not read the %s %s in %s; it needs %s" % (
            kind,
            subject,
            region,
            NEEDED[service],
        )
    if "Unable to locate credentials" in said:
        return "the instance has no role, so the %s %s can't be read; attach an instance profile" % (kind, subject)
    last = ([line for line in said.strip().splitlines() if line.strip()] or ["no answer in %s s" % CALL_SECONDS])[-1]
    return "the %s %s in %s can't be read: %s" % (kind, subject, region, last.strip())


def collect(wanted, aws):
    """All values: ({environment variable: text}, {file name: bytes}). `wanted`: {parameters_path, secrets} of the role's variables."""
    environment = {}  # type: dict[str, str]
    origin = {}  # type: dict[str, str]
    files = {}
    if wanted["parameters_path"]:
        for name, source, value in parameters(wanted["parameters_path"], aws):
            place(environment, origin, name, source, value)
    answers = {}
    for secret in wanted["secrets"]:
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
    if not NAME.match(name) or name in RESERVED:
        raise ValuesError("%s would be the environment variable %s, which can't be set" % (source, name))
    if name in environment:
        raise ValuesError("both %s and %s would be the environment variable %s" % (origin[name], source, name))
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValuesError(
            "%s has a line break, so it can't be the environment variable %s; use a file" % (source, name)
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
    return (value if hasattr(value, "encode") else json.dumps(value)).encode("utf-8")


def as_text(raw, name):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValuesError("secret %s is not text, so it can't be an environment variable; use a file" % name)
