"""Seam's published OpenAPI document, and a check of answers against it.

The document is the excerpt that lies beside a checkout of this project's material, or else comes whole out of the npm
package that the excerpt was taken from. It is not part of the project.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker

PACKAGE = "@seamapi/types"
VERSION = "1.977.0"
EXCERPT = Path(__file__).parents[3] / "shared" / "reference" / "seam-openapi.json"
_MODULE = "package/lib/seam/connect/openapi.js"
_PRINT = "import(process.argv[1]).then((m) => process.stdout.write(JSON.stringify(m.default)))"


def validate(path: str, method: str, status: int, body: Any) -> None:
    """Check one answer's JSON body.

    Where the document has no schema for it, which is so of every error and of this project's own operations, the
    envelope is checked instead.

    Raises:
        jsonschema.ValidationError: the body doesn't fit.
    """
    validator = _validator(path, method.lower(), status)
    if validator is not None:
        validator.validate(body)
    else:
        _envelope(status).validate(body)


def check_response(response: httpx.Response) -> None:
    """A response hook for an httpx client: every answer is JSON, bears a request id and fits the document."""
    response.read()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["seam-request-id"]
    validate(response.request.url.path, response.request.method, response.status_code, response.json())


@cache
def _validator(path: str, method: str, status: int) -> OAS30Validator | None:
    if status != 200 or path == "/acs/credentials/report_issued":
        return None
    document = _document_with(path)
    answer = document["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    return OAS30Validator({**answer, "components": document["components"]}, format_checker=oas30_format_checker)


@cache
def _envelope(status: int) -> OAS30Validator:
    document = _document_with("/acs/credentials/get")
    credential = {"$ref": "#/components/schemas/acs_credential"}
    error = {"type": "object", "required": ["type", "message"], "additionalProperties": False}
    text = {"type": "string"}
    error["properties"] = {"type": text, "message": text, "validation_errors": {"type": "object"}}
    key, schema = ("acs_credential", credential) if status == 200 else ("error", error)
    envelope = {
        "type": "object",
        "required": [key, "ok"],
        "additionalProperties": False,
        "properties": {key: schema, "ok": {"type": "boolean", "enum": [status == 200]}},
        "components": document["components"],
    }
    return OAS30Validator(envelope, format_checker=oas30_format_checker)


def _document_with(path: str) -> dict[str, Any]:
    excerpt = _excerpt()
    return excerpt if path in excerpt["paths"] else _whole()


@cache
def _excerpt() -> dict[str, Any]:
    """The excerpt, or the whole where it doesn't lie there."""
    return _readable(json.loads(EXCERPT.read_text())) if EXCERPT.is_file() else _whole()


@cache
def _whole() -> dict[str, Any]:
    """The whole document, packed by npm once and kept in the user's cache folder."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "card-encoder" / f"seam-{VERSION}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _extract(kept)
    return _readable(json.loads(kept.read_text()))


def _extract(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        pack = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", folder]
        try:
            subprocess.run(pack, cwd=folder, check=True, capture_output=True, timeout=100)
        except (OSError, subprocess.SubprocessError) as reason:
            pytest.skip(f"Seam's OpenAPI document can't be had: {reason}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            source = package.extractfile(_MODULE)
            assert source is not None
            module = Path(folder, "openapi.mjs")
            module.write_bytes(source.read())
        printed = Path(folder, "openapi.json")
        with printed.open("w") as out:
            subprocess.run(["node", "-e", _PRINT, str(module)], check=True, stdout=out)
        printed.rename(kept)


def _readable(node: Any) -> Any:
    """The document as its authors mean it.

    It pairs `discriminator` with inline alternatives, which makes validators refuse valid objects, and `nullable` with
    alternatives of which none is null: by OpenAPI 3.0 that means nothing without a type.
    """
    if isinstance(node, dict):
        read = {name: _readable(value) for name, value in node.items() if name != "discriminator"}
        if read.get("nullable") is True and "oneOf" in read and "type" not in read:
            read["oneOf"].append({"type": "object", "nullable": True, "enum": [None]})
        return read
    if isinstance(node, list):
        return [_readable(value) for value in node]
    return node
