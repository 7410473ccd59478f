"""The environment of commands that run inside the lab: they reach the lab as AWS, and nothing of the user's own AWS reaches them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.settings import ACCESS_KEY, ACCOUNT_ID, DEFAULT_REGION, SECRET_KEY, Settings

CHECKOUT = Path(__file__).resolve().parent.parent
SET_ASIDE = re.compile(r"(AWS_|EC2_)\w+|S3_URL|BOTO_CONFIG")
"""What the AWS SDKs, the AWS CLI and Ansible's modules read."""
CREDENTIALS = re.compile(r"(AWS|EC2)_\w*(KEY|TOKEN|PROFILE|CREDENTIALS|ROLE_ARN|SECRET)\w*")
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"}
"""There is no route out of the lab, so no proxy can be reached."""


def inside(settings: Settings, user: Mapping[str, str]) -> dict[str, str]:
    """The user's environment made fit for the inside of the lab."""
    kept = {k: v for k, v in user.items() if not SET_ASIDE.fullmatch(k) and k.lower() not in PROXIES}
    path = [
        str(Path(sys.prefix) / "bin"),
        str(CHECKOUT / "build" / "bin"),
        user.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ]
    return {
        **kept,
        **aws(settings),
        "PATH": ":".join(path),
        "LAB_NAME": settings.name,
        "LAB_STATE": str(settings.state),
        "LAB_CACHE": str(settings.cache),
        "LAB_ENDPOINT": settings.endpoint,
        "LAB_ACCOUNT_ID": ACCOUNT_ID,
        "LAB_SSH_KEY": str(settings.ssh_key),
        # Another lab's hosts have the same addresses: connections kept open must not be shared with it.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(settings.control_path_dir),
    }


def aws(settings: Settings) -> dict[str, str]:
    """Everything that an AWS SDK reads, so that nothing of a real account is left to find."""
    return {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": DEFAULT_REGION,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_POLL_DELAY_SECONDS": "1",
        "AWS_PAGER": "",
    }


def credentials_set_aside(settings: Settings, user: Mapping[str, str]) -> list[str]:
    """Names of the user's variables that give access to a real AWS account and are kept from the command."""
    own = aws(settings)
    return sorted(k for k, v in user.items() if CREDENTIALS.fullmatch(k) and v and own.get(k) != v)
