"""``/docs``: Swagger UI out of an installed package, so that it works without any other host."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from swagger_ui_bundle import swagger_ui_path

from models_store.errors import NotFoundError

router = APIRouter(include_in_schema=False)
_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>finetuned</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# This Swagger UI reads OpenAPI 3.0 and refuses a description that calls itself 3.1; it shows ours well all the same.
# Of the examples that 3.1 has in lists it is given the first, as 3.0 has one.
_START: Final = """const first = (_, value) =>
  value !== null && Array.isArray(value.examples) ? { ...value, example: value.examples[0] } : value;
fetch("openapi.json").then((answer) => answer.text()).then((text) => {
  const spec = JSON.parse(text, first);
  spec.openapi = "3.0.3";
  SwaggerUIBundle({spec, dom_id: "#swagger-ui", validatorUrl: null, persistAuthorization: false});
});
"""


@router.get("/docs")
def page() -> Response:
    """The page."""
    return Response(_PAGE, media_type="text/html", headers=_SECURITY)


@router.get("/docs/start.js")
def start() -> Response:
    """What starts Swagger UI; a file, because the page's policy allows no inline script."""
    return Response(_START, media_type="text/javascript", headers=_SECURITY)


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _FILES:
        raise NotFoundError("not_found", "There is no such file. Open /docs.")
    return FileResponse(Path(str(swagger_ui_path)) / name, media_type=_FILES[name], headers=_SECURITY)
