# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host fetches from AWS with its own role: an application's values (parameters below a path, secrets by name), and its release.

Runs on the hosts, under Python 2.7 and 3.7+, in the application's fetching services: no Ansible is there.
"""

from __future__ import absolute_import, division, print_function

import base64
import json
import re

from .._host.aws_cli import AwsError
from .environment import NAME, taken, unfit, value_of

__metaclass__ = type

ValuesError = AwsError
"""What could not be fetched or is no value, for a person. Never contains a value."""

FILE_INSTEAD = {
    "parameter": "Parameters become environment variables only: keep it in Secrets Manager and name it in app_runtime_secrets with file",
    "secret": "Give it file instead of environment in app_runtime_secrets",
}
"""What to do with a value that only a file can have."""


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
