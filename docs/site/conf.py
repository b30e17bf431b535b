"""Configuration of the documentation site; tools/build_site.py makes its pages and runs Sphinx."""

import re

import pympf

project = "pympf"
author = "the authors of pympf"
release = version = pympf.__version__
project_copyright = "the authors of pympf; BSD licence"

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
default_role = "py:obj"  # `pympf.solve` in a docstring is a link
highlight_language = "none"  # blocks without a language are output, not code
exclude_patterns = ["conf.py", "examples"]

autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # numpydoc's Parameters say more
numpydoc_show_class_members = False  # autodoc shows them, with their texts
numpydoc_xref_param_type = False

myst_heading_anchors = 4

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "pympf"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 8,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
}

CODE = re.compile(r"(``.*?``|`[^`]*`)")


def escape(app, what, name, obj, options, lines):
    """Take |x| and a closing _ in a docstring as they stand, and not as reStructuredText."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and line.strip() != "")
        if not in_example:
            lines[number] = "".join(
                part if CODE.fullmatch(part) else re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", part)
                for part in CODE.split(line)
            )


def skip(app, what, name, obj, skipped, options):
    """Leave out what other packages add to our classes."""
    module = getattr(obj, "__module__", None) or "pympf"
    return True if module.startswith("sklearn") else None


def setup(app):
    """Register the hooks; `escape` goes before numpydoc, whose own directives have |."""
    app.connect("autodoc-process-docstring", escape, priority=100)
    app.connect("autodoc-skip-member", skip)
