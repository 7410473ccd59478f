# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that name files with their content, as module_utils/_host/file_set.py takes them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment:
    """`ecommerce.fleet.files`: files and directories. `ecommerce.fleet.files.unit_files`: unit_files."""

    # Plain strings: ansible-test of core 2.16 reads nothing else here.
    DOCUMENTATION = r"""
options:
  directories:
    description: Directories to create first.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The directory., type: path, required: true}
      mode: {description: Permissions., type: str, default: "0755"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where the file belongs., type: path, required: true}
      content: {description: The whole content., type: str}
      secret_content: {description: The same for a secret instead of C(content). It is never shown., type: str}
      mode: {description: Permissions., type: str, default: "0644"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate:
        description: A command that exits 0 if the staged file is valid. C(%s) stands for its path.
        type: list
        elements: str
        default: []
      show_diff: {description: Whether C(--diff) may show the content., type: bool, default: true}
"""
    UNIT_FILES = r"""
options:
  unit_files:
    description: The same for files whose change restarts the instances.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where the file belongs., type: path, required: true}
      content: {description: The whole content., type: str}
      secret_content: {description: The same for a secret instead of C(content). It is never shown., type: str}
      mode: {description: Permissions., type: str, default: "0644"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate:
        description: A command that exits 0 if the staged file is valid. C(%s) stands for its path.
        type: list
        elements: str
        default: []
      show_diff: {description: Whether C(--diff) may show the content., type: bool, default: true}
"""
