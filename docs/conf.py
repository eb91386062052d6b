"""Configuration of Sphinx for ``make docs``; with ``OPTIONS='-t quick'`` examples and lessons do not run."""

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.ext.autosummary.generate import find_autosummary_in_files

import myrnn
from myrnn.settings import Section, settings_of

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))
# ``-t quick``: neither the gallery nor the lessons are run.
QUICK = tags.has("quick")  # noqa: F821 (Sphinx defines it)

project = "MyRNN"
author = copyright = "The MyRNN developers"
version = release = myrnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx_codeautolink",
    # In _ext.
    "commands",
    "lessons",
    "mathml",
    "names",
]
# Sphinx-Gallery writes each example as a page, and as a script and a notebook to download.
exclude_patterns = ["_ext", "_templates", "gallery/**.ipynb", "gallery/**.py"]
templates_path = ["_templates"]
language = "en"
# "auto" in a docstring is code.
smartquotes = False
nitpicky = False
# `name` in a docstring is a name of the package where there is one.
default_role = "py:obj"

# Text ----------------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath", "colon_fence"]
# Links to headings are as on a code host.
myst_heading_anchors = 4
html_math_renderer = "mathml"

# The lessons ---------------------------------------------------------------------------------------------------------

nb_execution_mode = "off" if QUICK else "cache"
nb_execution_cache_path = str(DOCS.parent / "build" / "lessons")
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

# Code ----------------------------------------------------------------------------------------------------------------

# A block without a language is the output of a command or of a program.
highlight_language = "text"
# A block of a page continues the blocks before it.
codeautolink_concat_default = True
codeautolink_custom_blocks = {"Python": "names.left_alone"}
# These blocks are not kept from build to build.
suppress_warnings = ["config.cache"]

# The gallery ---------------------------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "subsection_order": [
        "../examples/gallery/first_steps",
        "../examples/gallery/look_inside",
        "*",
        "../examples/gallery/cells",
    ],
    "plot_gallery": not QUICK,
    "abort_on_example_error": True,
    # As many examples at a time as Sphinx has jobs.
    "parallel": True,
    "image_scrapers": ("matplotlib",),
    "capture_repr": ("_repr_html_", "__repr__"),
    "remove_config_comments": True,
    "doc_module": ("myrnn",),
    "backreferences_dir": "reference/api/examples",
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
}

# The reference -------------------------------------------------------------------------------------------------------

autosummary_generate = True
# Methods that other modules call, and users do not: they are left out of the page of their class.
autosummary_context = {
    "internal": {
        name: "".join(f", {method}" for method in methods.split())
        for name, methods in {
            "myrnn.compiler.CompiledModel": "of program derivative reach work_per_row "
            "native reader numbers_for programs_for_tokens going_on observe prefix_logits",
            "myrnn.evaluation.LengthReport": "effective matching",
            "myrnn.sweeps.SweepResults": "of setting_names",
            "myrnn.compiler.State": "to_continue after pieces",
            "myrnn.experiment.Data": "check_has_labels",
            "myrnn.experiment.Part": "kind",
            "myrnn.evaluation.Buckets": "values_of",
            "myrnn.data.TargetEncoder": "fit sequences inputs read next_rows check_columns",
            "myrnn.data.Differences": "of next_without continued",
            "myrnn.training.TrainingState": "with_good parts mapping beginning_with check_settings check_names",
            "myrnn.runs.Run": "check_tests predictor recognizer use_outputs",
            "myrnn.runs.TaskReader": "to_settings recognizer is_balanced new_model",
            "myrnn.runs.DataReader": "raw warn_of_range text_as to_settings from_settings recognizer is_balanced "
            "new_model read_file read_series",
        }.items()
    }
}
# Classes that a function of the package makes, and users do not.
MADE = ("myrnn.compiler.CompiledModel", "myrnn.graphs.ComputationalGraph", "myrnn.compiler.State")
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# A type that is a class of the package leads to its page; no other word of a type does.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
PAGES = [entry.name for entry in find_autosummary_in_files(map(str, DOCS.glob("reference/api/*.rst")))]
numpydoc_xref_aliases = {last: page for page in PAGES if (last := page.rpartition(".")[2])[0].isupper()}

# The look ------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"MyRNN {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# A page of results would fetch the others, which browsers refuse for local files.
html_show_search_summary = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}


def setup(app):
    """Show types without links to other documentation, settings with their help, and signatures that can be read."""

    def only_ours(app, config):
        config.numpydoc_xref_aliases_complete = config.numpydoc_xref_aliases

    app.connect("config-inited", only_ours, priority=900)

    def signature_of(app, what, name, obj, options, signature, annotation):
        if name in MADE:
            return "", None
        # A function by its name; a default that is made anew for each object has none.
        return signature and (re.sub(r"<function (\w+)>", r"\1", signature).replace("<factory>", "..."), annotation)

    app.connect("autodoc-process-signature", signature_of)

    def settings_in(app, what, name, obj, options, lines):
        if what == "class" and issubclass(obj, Section) and (settings := settings_of(obj)):
            lines += ["", "Parameters", "----------"]
            for setting in settings:
                choices = ", ".join(f'"{choice}"' for choice in setting.choices)
                kind = f"{{{choices}}}" if choices else "object" if setting.type is Any else setting.type.__name__
                lines.append(f"{setting.name} : {kind}{' or None' if setting.is_optional else ''}")
                lines.append(f"    {setting.meta.description.removesuffix('.')}.")

    # Before numpydoc reads the docstring.
    app.connect("autodoc-process-docstring", settings_in, priority=100)
