"""What mkdocs runs while it builds the manual (`make docs`): the reference, links, fences.

The reference is made from the registry and from the classes, so nothing is written twice.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torchish  # noqa: E402
from torchish._ops import registry  # noqa: E402

FENCE = re.compile(r"^```(\w+)([^\n`]*)$", re.MULTILINE)
LINK = re.compile(r"\[([^\]\n]+)\]\((\.\./[^)\s]*)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the reference."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Marks that tests read after a fence's language go; links out of the manual become names."""
    if page.file.src_uri.startswith("reference/"):
        return markdown
    titled = FENCE.sub(lambda m: f"```{m[1]}{_title(m[2])}", markdown)
    return LINK.sub(lambda m: _outside(m[1], m[2]), titled)


def _title(marks: str) -> str:
    found = re.search(r'title="[^"]*"', marks)
    return f" {found[0]}" if found else ""


def _outside(text: str, target: str) -> str:
    if target == "../compat_matrix.md":
        return f"[{text}](reference/matrix.md)"
    return f"`{target.removeprefix('../')}`"


def pages() -> dict[str, str]:
    """The reference, by the names of its pages."""
    tables = {"torch": "torch", "nn.functional": "functional", "linalg": "linalg", "fft": "fft",
              "special": "special"}  # fmt: skip
    found = {
        page: _page("torch" if place == "torch" else f"torch.{place}", registry.table(place))
        for place, page in tables.items()
    }
    found["tensor"] = _page("torch.Tensor", registry.table("method"))
    for space, page in ((torchish.nn, "nn"), (torchish.optim, "optim"), (torchish.func, "func")):
        names = {n: getattr(space, n) for n in sorted(dir(space)) if not n.startswith("_")}
        own = {
            n: v for n, v in names.items()
            if (isinstance(v, type) or inspect.isfunction(v)) and n not in ("Any", "OrderedDict")
        }  # fmt: skip
        found[page] = _page(f"torch.{page}", own)
    found["matrix"] = (ROOT / "compat_matrix.md").read_text()
    return found


def _page(title: str, table: dict[str, Any]) -> str:
    public = {n: v for n, v in sorted(table.items()) if not n.startswith("_") and callable(v)}
    lines = [f"# {title}", "", f"{len(public)} names, as the registry has them.", ""]
    for name, value in public.items():
        lines += _entry(f"{title}.{name}", name, value)
    return "\n".join(lines)


def _entry(path: str, name: str, value: Callable[..., Any]) -> Iterator[str]:
    yield from (f"## {name} {{: #{path} }}", "", "```python", f"{path}{_signature(value)}", "```")
    text = inspect.getdoc(value)
    if text and not isinstance(value, type(torchish)):
        yield from ("", "```text", text.replace("```", "'''"), "```")
    yield ""


def _signature(value: Callable[..., Any]) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    bare = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    return str(inspect.Signature(bare))
