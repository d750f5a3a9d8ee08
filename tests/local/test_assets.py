import json

import pytest

from postman.local import ROOT
from postman.local.assets import VENDOR, scoped, self_contained


def test_the_design_system_is_there_and_whole():
    files = {path.name: path.read_text() for path in VENDOR.iterdir()}

    assert "sgds-masthead" in files["masthead.js"]
    assert ".btn-primary" in files["sgds.css"]
    for text in files.values():
        self_contained(text)
        assert "sourceMappingURL" not in text


@pytest.mark.parametrize(
    "text",
    [
        '@import "https://fonts.example/inter.css";',
        "a { background: url(https://cdn.example/a.png) }",
        "a { background: url('//cdn.example/a.png') }",
        "@font-face { src: url(fonts/inter.woff2) }",
    ],
)
def test_an_asset_that_would_fetch_more_is_refused(text):
    with pytest.raises(ValueError, match="fetches something else"):
        self_contained(text)


def test_the_mastheads_colours_reach_only_the_masthead():
    theme = '@import "./root.css";\n:root {\n  --sgds-purple: #fff;\n}\n'

    assert scoped(theme) == "sgds-masthead {\n  --sgds-purple: #fff;\n}\n"


def test_the_lock_file_names_no_registry():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all(package["integrity"] for name, package in packages.items() if name)
