"""Draw the rooms of the library and the arrows between them, from the imports in the code.

``python tools/draw_rooms.py`` prints the rooms from roof to ground, each with the rooms that it imports from, and
writes the picture that CONTRIBUTING.md shows, ``book/_static/rooms.svg``. An arrow drawn dark is not implied by others.
"""

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "book" / "_static" / "rooms.svg"
ABOVE = "support"  # the chapters' helpers, beside the notebooks
WIDTH, ROW, TOP, TEXT = 900, 44, 56, 618  # px; TEXT: where the words end and the arrows begin

Arrows = dict[str, set[str]]


def folders(root: Path = ROOT) -> dict[str, Path]:
    """Return the rooms, folders and single modules alike, by name."""
    found = {ABOVE: root / "book" / ABOVE}
    for path in sorted((root / "ramac_lib").iterdir()):
        if path.suffix == ".py" and path.stem != "__init__":
            found[path.stem] = path
        elif (path / "__init__.py").is_file():
            found[path.name] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(root: Path = ROOT) -> Arrows:
    """Return, for each room, the rooms that its modules import from."""
    rooms = folders(root)
    found: Arrows = {}
    for room, folder in rooms.items():
        parts = (name.split(".") for path in modules(folder) for name in imported(path))
        targets = {ABOVE if p[0] == ABOVE else p[1] for p in parts if p[0] in ("ramac_lib", ABOVE) and len(p) > 1}
        found[room] = (targets & set(rooms)) - {room}
    return found


def modules(room: Path) -> list[Path]:
    """Return the files of a room."""
    return [room] if room.is_file() else sorted(room.rglob("*.py"))


def floors(found: Arrows) -> list[list[str]]:
    """Return the rooms of each floor, the roof first: a room stands as low as what it imports lets it.

    Raises:
        ValueError: rooms import each other in a circle, which is named.
    """
    levels: list[list[str]] = []
    left = set(found)
    while left:
        ready = sorted(room for room in left if not found[room] & left)
        if not ready:
            raise ValueError(f"a circle of rooms among {', '.join(sorted(left))}")
        levels.append(ready)
        left -= set(ready)
    return levels[::-1]


def implied(found: Arrows) -> set[tuple[str, str]]:
    """Return the arrows that follow from others: there is a longer way along arrows from the one room to the other."""
    below = {room: set(found[room]) for level in floors(found)[::-1] for room in level}
    for level in floors(found)[::-1]:
        for room in level:
            below[room] |= {far for near in found[room] for far in below[near]}
    return {(a, b) for a in found for b in found[a] if any(b in below[c] for c in found[a] - {b})}


def purpose(room: Path) -> str:
    """Return the first sentence of a room's docstring."""
    text = ast.get_docstring(ast.parse((room if room.is_file() else room / "__init__.py").read_text(encoding="utf-8")))
    return (text or "").split("\n\n")[0].replace("\n", " ").replace("``", "")


def as_text(root: Path = ROOT) -> str:
    """Return the rooms from roof to ground, with their arrows and what is in them."""
    found, rooms = arrows(root), folders(root)
    order = [room for level in floors(found) for room in level]
    lines = []
    for number, level in zip(range(len(floors(found)) - 1, -1, -1), floors(found), strict=True):
        for room in level:
            below = ", ".join(sorted(found[room], key=order.index)) or "nothing of ours"
            lines.append(f"{number}  {room:<10} {purpose(rooms[room])}\n   {'':<10} → {below}")
    return "\n".join(lines)


def as_svg(root: Path = ROOT) -> str:
    """Return the picture: a row for each room, arrows on the right from a room to those that it imports from."""
    found, rooms, pale = arrows(root), folders(root), implied(arrows(root))
    levels = floors(found)
    order = [room for level in levels for room in level]
    y = {room: TOP + ROW * (i + 0.5) for i, room in enumerate(order)}
    height = TOP + ROW * len(order) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" role="img">',
        "<title>The rooms of the library, from roof to ground, and which imports from which</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0.5 L8 4 L0 7.5 z" fill="context-stroke"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fbfaf7"/>',
        '<text x="20" y="33" font-size="15" fill="#555">floor</text>',
        '<text x="76" y="33" font-size="15" fill="#555">room</text>',
        f'<text x="{TEXT}" y="33" font-size="15" fill="#555">imports from</text>',
    ]
    for number, level in zip(range(len(levels) - 1, -1, -1), levels, strict=True):
        top = y[level[0]] - ROW / 2
        out.append(f'<path d="M20 {top:g} H{TEXT - 8}" stroke="#ddd8cc"/>')
        out.append(f'<text x="28" y="{top + 28:g}" font-size="15" fill="#888">{number}</text>')
        for room in level:
            out.append(
                f'<g data-room="{room}"><text x="76" y="{y[room] - 3:g}" font-size="15" font-weight="600" '
                f'fill="#1f3a66">{room}</text><text x="76" y="{y[room] + 14:g}" font-size="12" fill="#444">'
                f"{escape(purpose(rooms[room]))}</text></g>"
            )
    drawn = [(a, b) for a in order for b in order if b in found[a]]
    for a, b in sorted(drawn, key=lambda arrow: arrow not in pale):  # the dark ones on top
        bulge = 24 + 27 * abs(order.index(b) - order.index(a))
        start, end = y[a] + 5, y[b] - 5
        look = 'stroke="#c9c4b8" stroke-width="1"' if (a, b) in pale else 'stroke="#2f4b7c" stroke-width="1.6"'
        out.append(
            f'<path data-from="{a}" data-to="{b}" d="M{TEXT} {start:g} C{TEXT + bulge} {start:g} {TEXT + bulge} '
            f'{end:g} {TEXT + 2} {end:g}" fill="none" {look} marker-end="url(#head)">'
            f"<title>{a} imports from {b}</title></path>"
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def counts(root: Path = ROOT) -> str:
    """Return the house's size in words: rooms, floors, arrows, files and lines."""
    found = arrows(root)
    house = {room: below - {"support"} for room, below in found.items() if room != "support"}
    lines = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in sorted((root / "ramac_lib").rglob("*.py"))}
    beside = [p for p in (root / "book" / "support").rglob("*.py")]
    largest = max(lines, key=lambda path: lines[path])
    entries = [p for p in (root / "ramac_lib").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    return (
        f"the library: {len(entries)} entries at its top, {len(floors(house))} floors, "
        f"{sum(map(len, house.values()))} arrows, {len(lines)} files, {sum(lines.values()):,} lines, at most "
        f"{lines[largest]} in one ({largest.relative_to(root)}); book/support: {len(beside)} files, "
        f"{sum(len(p.read_text(encoding='utf-8').splitlines()) for p in beside):,} lines"
    )


if __name__ == "__main__":
    print(as_text(), counts(), sep="\n")
    PICTURE.write_text(as_svg(), encoding="utf-8")
