#!/usr/bin/env python3
"""Records commands in a pseudo-terminal and writes the recording as an animated SVG.

    tools/picture.py docs/run.svg COMMAND...

Each COMMAND is a line for bash. The picture shows the line after a prompt, then the
command's output with its original timing. Nothing is edited. Viewers that
request reduced motion, and those without CSS animations, show the last screen.
"""

import argparse
import fcntl
import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time

COLUMNS, ROWS = 110, 34
FONT, WIDTH, HEIGHT = 12, 7.2, 16  # pixels: font size, columns, rows
MARGIN, BAR = 12, 26  # around the text; the window's title bar
TYPING, REST, END = 0.02, 0.7, 5.0  # seconds: a typed letter, before a command runs, the last screen
FRAME = 0.1  # minimum seconds between two screens; earlier changes are not shown

STYLE = """
.window{fill:#fbfbfa;stroke:#d0d0cc}.dot{fill:#d0d0cc}
text{font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#24292f;white-space:pre}
.command{font-weight:bold;fill:#0b5cad}
@media(prefers-color-scheme:dark){.window{fill:#16191d;stroke:#3a3f45}.dot{fill:#3a3f45}text{fill:#d5d9de}.command{fill:#79b8ff}}
"""


class Screen:
    """A terminal's text: lines, a cursor, and the few controls that qlora writes."""

    def __init__(self):
        self.lines, self.row, self.column = [""], 0, 0

    def write(self, text):
        for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            if piece == "\r":
                self.column = 0
            elif piece == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif piece.endswith("K") and piece[0] == "\x1b":
                self.lines[self.row] = self.lines[self.row][: self.column]
            elif piece[0] != "\x1b":
                for letter in piece:
                    self.put(letter)

    def put(self, letter):
        if self.column == COLUMNS:
            self.write("\r\n")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1


def run(command, show):
    """Runs a command in a pseudo-terminal; show receives its output as it arrives, and the seconds since the start."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("bash", ["bash", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, data = time.monotonic(), b""
    while True:
        try:
            select.select([terminal], [], [])
            read = os.read(terminal, 1 << 16)
        except OSError:  # the terminal is closed: the command has ended
            read = b""
        if not read:
            break
        data += read
        text = data.decode("utf-8", "ignore")
        data = data[len(text.encode()) :]
        show(text, time.monotonic() - began)
    seconds = time.monotonic() - began
    if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"{command}: exit status {status}")
    return seconds


def record(commands):
    """Returns (seconds, lines, rows with commands) for each screen, and the total duration."""
    screen, now, typed, screens = Screen(), 0.0, set(), []

    def keep(at):
        if screens and at - screens[-1][0] < FRAME:
            at = screens.pop()[0]
        screens.append((at, list(screen.lines), set(typed)))

    for command in commands:
        first = screen.row
        screen.write("$ ")
        for i in range(0, len(command), 5):
            screen.write(command[i : i + 5])
            typed.update(range(first, screen.row + 1))
            now += 5 * TYPING
            keep(now)
        now += REST
        screen.write("\r\n")

        def show(text, seconds):
            screen.write(text)
            keep(now + seconds)

        now += run(command, show) + REST
        if screen.lines[screen.row]:
            screen.write("\r\n")
    return screens, now + END


def spans(screens, end):
    """Returns (row, text, is command, from, to) for each text shown on a row."""
    found, open_ = [], {}
    for at, lines, typed in screens + [(end, [], set())]:
        top = max(0, len(lines) - ROWS)
        shown = {i - top: (line.rstrip(), i in typed) for i, line in enumerate(lines) if i >= top and line.strip()}
        for row in list(open_):
            if shown.get(row) != open_[row][0]:
                what, since = open_.pop(row)
                found.append((row, *what, since, at))
        for row, what in shown.items():
            open_.setdefault(row, (what, at))
    return found


def element(row, line, command, names):
    x, y = MARGIN, BAR + MARGIN + HEIGHT * row + FONT
    names = (["command"] if command else []) + names
    return (
        f'<text x="{x}" y="{y}" textLength="{len(line) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
        f' class="{" ".join(names)}">{html.escape(line, quote=False)}</text>'
    )


def animation(times, end):
    """Returns the style rules that show the class of each (from, to) in times between the two."""
    gone, rules = [], []
    for (since, until), name in times.items():
        frames = f"0%{{visibility:hidden}}{since / end * 100:.2f}%{{visibility:visible}}"
        if until < end:
            frames += f"{until / end * 100:.2f}%{{visibility:hidden}}"
            gone.append("." + name)
        rules.append(f"@keyframes {name}{{{frames}}}.{name}{{animation-name:{name}}}")
    moving = "\n".join(rules)
    return (
        f"{','.join(gone)}{{visibility:hidden}}\n"
        f"@media(prefers-reduced-motion:no-preference){{text{{animation:{end:.2f}s step-end infinite}}\n{moving}}}"
    )


def svg(style, body, rows):
    width, height = round(COLUMNS * WIDTH) + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN + BAR
    dots = "".join(f'<circle class="dot" cx="{MARGIN + 6 + 16 * i}" cy="14" r="5"/>' for i in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">\n'
        "<title>A recorded terminal</title>\n"
        f"<style>{STYLE % FONT}{style}</style>\n"
        f'<rect class="window" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>{dots}\n{body}\n</svg>\n'
    )


def picture(found, end, rows):
    times = {}  # the class of each (from, to)
    for _, _, _, since, until in found:
        times.setdefault((since, until), f"t{len(times)}")
    body = "\n".join(element(row, line, command, [times[since, until]]) for row, line, command, since, until in found)
    return svg(animation(times, end), body, rows)


def still(found, at, rows):
    """Returns the screen at a time, without animation."""
    return svg("", "\n".join(element(*f[:3], []) for f in found if f[3] <= at < f[4]), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stills", help="also write a still screen a second into this folder, to look at")
    parser.add_argument("svg")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    screens, end = record(args.command)
    found, rows = spans(screens, end), min(ROWS, max(len(lines) for _, lines, _ in screens))
    with open(args.svg, "w", encoding="utf-8") as file:
        file.write(picture(found, end, rows))
    for second in range(int(end) if args.stills else 0):
        with open(os.path.join(args.stills, f"{second:02}.svg"), "w", encoding="utf-8") as file:
            file.write(still(found, second, rows))


if __name__ == "__main__":
    main()
