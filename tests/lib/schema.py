# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges JSON by a JSON Schema."""

import json


class Schema:
    def __init__(self, path):
        import jsonschema  # takes its time, and is needed by few who import this

        with open(path, encoding="utf-8") as schema:
            self.validator = jsonschema.Draft202012Validator(json.load(schema))

    def errors(self, value):
        """The first five, a line each."""
        return [f"schema: {error.json_path}: {error.message[:200]}" for error in self.validator.iter_errors(value)][:5]
