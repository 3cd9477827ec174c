"""What to cite: the sources that functions and the study name, and the packages that did the work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from markupsafe import Markup

from ._page import element, joined, visible

DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"'<>,;]+")
ARXIV = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5})(?:v\d+)?", re.IGNORECASE)
PACKAGES = {  # as their authors ask to be cited
    "brainscore_vision": "Schrimpf et al. 2018, bioRxiv, doi 10.1101/407007",
    "dask": "Rocklin 2015, Proc. SciPy, doi 10.25080/Majora-7b98e3ed-013",
    "mne": "Gramfort et al. 2013, Front. Neurosci. 7:267, doi 10.3389/fnins.2013.00267",
    "mne_bids": "Appelhoff et al. 2019, J. Open Source Softw. 4:1896, doi 10.21105/joss.01896",
    "neo": "Garcia et al. 2014, Front. Neuroinform. 8:10, doi 10.3389/fninf.2014.00010",
    "numpy": "Harris et al. 2020, Nature 585:357, doi 10.1038/s41586-020-2649-2",
    "pynwb": "Rübel et al. 2022, eLife 11:e78362, doi 10.7554/eLife.78362",
    "scipy": "Virtanen et al. 2020, Nat. Methods 17:261, doi 10.1038/s41592-019-0686-2",
    "sklearn": "Pedregosa et al. 2011, J. Mach. Learn. Res. 12:2825",
    "xarray": "Hoyer and Hamman 2017, J. Open Res. Softw. 5:10, doi 10.5334/jors.148",
}


def sources(docstring: str | None) -> list[str]:
    """The works that a docstring names in its line `Source`.

    >>> sources("A mean.\\n\\nSource   Gauss 1809; Student 1908,\\n         doi 10.1093/biomet/6.1.1\\n>>> 1")
    ['Gauss 1809', 'Student 1908, doi 10.1093/biomet/6.1.1']
    """
    found = re.search(r"^[ \t]*Source +(.+(?:\n[ \t]{8,}(?!>>>).+)*)", docstring or "", re.MULTILINE)
    text = " ".join(found[1].split()) if found else ""
    return [part.strip() for part in text.split(";") if part.strip()]


def references(about: str, works: Iterable[str], versions: Mapping[str, str]) -> Markup:
    """Lists of what the study, its methods and its software rest on.

    Reads    about, the words of the study; works, sources of the functions used; versions of packages
    Returns  Markup; a work that gives a doi or an arXiv number is linked
    """
    named = [found[0] for found in (*ARXIV.finditer(about), *DOI.finditer(about))]
    asked = element("p", "The question names no work by doi or arXiv number.")
    if named:
        asked = element("ul", *(element("li", linked(work)) for work in dict.fromkeys(named)))
    methods = element("ul", *(element("li", linked(work)) for work in sorted(dict.fromkeys(works))))
    packages = [
        element("li", f"{name} {version}", ": " if name in PACKAGES else "", linked(PACKAGES.get(name, "")))
        for name, version in sorted(versions.items())
    ]
    return joined(
        element("h3", "Named by the question"),
        asked,
        element("h3", "Methods"),
        methods or element("p", "No function of this study names its source."),
        element("h3", "Software"),
        element("ul", *packages) if packages else element("p", "None is known before a result stands."),
    )


def linked(text: str) -> Markup:
    """Text whose doi and arXiv numbers are links; nothing is asked of them until somebody follows one."""
    parts: list[object] = []
    place = 0
    for found in sorted((*DOI.finditer(text), *ARXIV.finditer(text)), key=lambda match: match.start()):
        if found.start() < place:
            continue
        name = found[0].rstrip(".)") if found.re is DOI else found[0]
        end = found.start() + len(name)
        address = f"https://doi.org/{name}" if found.re is DOI else f"https://arxiv.org/abs/{found[1]}"
        parts += [text[place : found.start()], element("a", visible(name), href=address, rel="noreferrer")]
        place = end
    return joined(*parts, text[place:])
