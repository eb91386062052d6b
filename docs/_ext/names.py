"""Code in the text of a page that names something public leads to its page: `train(...)`, `myrnn.plots.save_figure`."""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import myrnn

MODULES = ("exercises", "plots", "tasks")


def exported(module: str) -> list[str]:
    """Return the public names of a module of the package."""
    found = getattr(myrnn, module)
    own = [name for name, value in vars(found).items() if getattr(value, "__module__", "") == found.__name__]
    return getattr(found, "__all__", own)


# Modules with the results and errors of the functions of the package.
OTHERS = "compiler data errors estimators evaluation experiment graphs inspection results runs sweeps training".split()
OTHERS.append("learning_curve")
# The page of each public name; what two modules export has it in the last of them.
PUBLIC = {
    **{name: f"myrnn.{module}.{name}" for module in OTHERS for name in exported(module)},
    **{name: f"myrnn.{name}" for name in myrnn.__all__ if not name.startswith("_")},
    **{name: f"myrnn.{module}.{name}" for module in MODULES for name in exported(module)},
}
CALL = re.compile(r"(myrnn\.)?(\w+)((?:\.\w+)*)(?:\(.*\))?")
# Pages about other libraries, whose names are the same: there only what begins with "myrnn." is ours.
OF_OTHERS = {"how-to/porting", "reference/operations"}


def target(text: str, page: str) -> str | None:
    """Return the full name of what some code is about, or None where it is not of the package, or may not be."""
    found = CALL.fullmatch(text)
    if found is None:
        return None
    package, first, rest = found.groups()
    if package is None and (page in OF_OTHERS or first not in PUBLIC):
        return None
    # `Table.rows` and `plots.save_figure` are clear, but `run.model` is about somebody's variable.
    if package is None and rest and first[0].islower() and first not in MODULES:
        return None
    return f"{PUBLIC.get(first, f'myrnn.{first}')}{rest}"


class LinkNames(SphinxTransform):
    """Wrap such code in a reference; without a page of that name it stays as it is."""

    default_priority = 20

    def apply(self, **options: Any) -> None:
        """Go through the code in the text of a page, or of an example of the gallery."""
        page = self.env.docname
        # Docstrings name things in their own way, by single backticks.
        if self.env.doc2path(page).suffix == ".md" or page.startswith("gallery/"):
            for literal in list(self.document.findall(nodes.literal)):
                name = target(literal.astext(), page)
                if name is not None and not isinstance(literal.parent, nodes.title | nodes.reference | pending_xref):
                    where = {"refdomain": "py", "reftype": "obj", "refexplicit": True, "refwarn": False, "refdoc": page}
                    reference = pending_xref("", reftarget=name, **where)
                    literal.replace_self(reference)
                    reference += literal


def left_alone(source: str) -> tuple[str, str]:
    """Return the code of an example of the gallery, and none to look for names in: Sphinx-Gallery links them itself."""
    return source, ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True}
