"""Expressions over the columns of boxes and images, as SQL writes them in WHERE: read into a tree, names and types
proved, so that evaluating it cannot fail.

    category in ('dog', 'cat') and area > 32 * 32 and not iscrowd
    file_name like 'train/%' or score between 0.5 and 1
    10 < x1 < 20 and width is not null
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from bboxconv.errors import UsageError
from bboxconv.sets.tree import Call, Column, Constant, Node, Type
from bboxconv.sets.words import Word, mistake, words
from bboxconv.suggest import did_you_mean

DEEPEST = 30
"""How deep parentheses, `not` and signs may stand in each other: reading one level takes ten of Python's calls."""
MOST = 100
"""How many signs of arithmetic there may be: each may be a level of the tree."""
_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LARGEST = 1 << 63
_Typed = tuple[Node, Type | None]
"""An expression and what it gives; None: null, which is of any type."""


def parsed(expression: str, columns: Mapping[str, Type], classes: Sequence[str] = ()) -> Node:
    """What an expression says. `columns` are those that there are; texts that are compared with `category` must be
    among `classes`.

    Raises UsageError: `bad-expression`, `unknown-column`, `unknown-class`.
    """
    reader = _Reader(expression, words(expression), columns, classes)
    if reader.word.kind == "end":
        raise reader.mistake("it is empty")
    node = reader.flag(reader.either())
    if reader.at < len(reader.words) - 1:
        raise reader.mistake("an operator is missing here, or there is too much")
    return node


@dataclass(slots=True)
class _Reader:
    """Reads an expression from its first word to its last."""

    expression: str
    words: list[Word]
    columns: Mapping[str, Type]
    classes: Sequence[str]
    at: int = 0
    depth: int = 0
    operators: int = 0

    @property
    def word(self) -> Word:
        return self.words[self.at]

    def mistake(self, message: str, hint: str = "", at: Word | None = None) -> UsageError:
        return mistake(self.expression, (at or self.word).place, message, hint)

    def takes(self, *texts: str) -> str:
        """The sign or keyword that comes next, where it is one of these; else nothing."""
        word = self.word
        if word.kind in ("sign", "keyword") and word.text in texts:
            self.at += 1
            return word.text
        return ""

    def needs(self, text: str) -> None:
        if not self.takes(text):
            raise self.mistake(f"{text!r} is missing")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.mistake(f"it is nested more than {DEEPEST} deep")

    def flag(self, typed: _Typed) -> Node:
        node, kind = typed
        if kind not in ("flag", None):
            raise self.mistake(f"a {kind} is no condition", "compare it with something: area > 1000", self.words[0])
        return node

    def either(self) -> _Typed:
        return self.series("or", self.both)

    def both(self) -> _Typed:
        return self.series("and", self.negation)

    def series(self, name: str, part: Callable[[], _Typed]) -> _Typed:
        """Conditions that `and` or `or` joins, as a balanced tree: a thousand of them are not a thousand deep."""
        first = part()
        found = [first]
        while self.takes(name):
            found.append(part())
        if len(found) == 1:
            return first
        return _joined(name, [self.flag(one) for one in found]), "flag"

    def negation(self) -> _Typed:
        if not self.takes("not"):
            return self.comparison()
        self.deeper()
        node = self.flag(self.negation())
        self.depth -= 1
        return Call("not", (node,)), "flag"

    def comparison(self) -> _Typed:
        start = self.word
        left = self.sum()
        parts: list[Node] = []
        while self.word.kind == "sign" and self.word.text in _COMPARISONS:
            sign, place = _COMPARISONS[self.word.text], self.word
            self.at += 1
            right = self.sum()
            parts.append(self.compare(sign, left, right, place))
            left = right
        if parts:
            return _joined("and", parts), "flag"
        denied = bool(self.takes("not"))
        what = self.takes("in", "like", "matches", "between", *(() if denied else ("is",)))
        if what:
            self.no_column((left,), start)
        else:
            if denied:
                raise self.mistake("'in', 'like', 'matches' or 'between' follows on 'not' here")
            return left
        if what == "is":
            denied = bool(self.takes("not"))
            self.needs("null")
            node: Node = Call("is null", (left[0],))
        elif what == "in":
            node = self.among(left)
        elif what == "between":
            low, place = self.sum(), self.word
            self.needs("and")
            high = self.sum()
            node = Call("and", (self.compare(">=", left, low, place), self.compare("<=", left, high, place)))
        else:
            node = self.pattern(what, left, start)
        return (Call("not", (node,)) if denied else node), "flag"

    def compare(self, sign: str, left: _Typed, right: _Typed, place: Word) -> Node:
        self.no_column((left, right), place)
        kinds = {left[1], right[1]} - {None}
        if kinds == {"flag", "number"}:  # as in COCO, where a flag is 0 or 1
            left, right = (
                (Call("number", (one,)), "number") if kind == "flag" else (one, kind) for one, kind in (left, right)
            )
        elif len(kinds) > 1:
            raise self.mistake(f"a {left[1]} is compared with a {right[1]}", at=place)
        for one, other in ((left[0], right[0]), (right[0], left[0])):
            if sign in ("=", "!=") and one == Column("category") and isinstance(other, Constant):
                self.known_class(other)
        return Call(sign, (left[0], right[0]))

    def no_column(self, values: Sequence[_Typed], place: Word) -> None:
        """Refuse the name of a column in quotes where texts alone are compared: in some SQL it is the column."""
        names = [one.value for one, _ in values if isinstance(one, Constant)]
        for name in names if len(names) == len(values) else ():
            if isinstance(name, str) and name in self.columns:
                raise self.mistake(f"{name!r} is a text here", f"a column stands without quotes: {name}", place)

    def among(self, left: _Typed) -> Node:
        self.needs("(")
        values: list[Node] = []
        while True:
            place = self.word
            node, kind = self.signed()
            if not isinstance(node, Constant):
                raise self.mistake("only numbers and texts may stand in the list of 'in'", at=place)
            if kind is not None and left[1] not in (kind, None):
                raise self.mistake(f"a {left[1]} is compared with a {kind}", at=place)
            if left[0] == Column("category"):
                self.known_class(node)
            values.append(node)
            if not self.takes(","):
                break
        self.needs(")")
        return Call("in", (left[0], *values))

    def pattern(self, what: str, left: _Typed, start: Word) -> Node:
        if left[1] not in ("text", None):
            raise self.mistake(f"{what!r} is for texts, not for a {left[1]}", at=start)
        word = self.word
        if word.kind != "text":
            raise self.mistake(f"a text in quotes follows on {what!r}")
        self.at += 1
        if what == "matches":
            try:
                pc.match_substring_regex(pa.array(["x"]), word.text)
            except pa.ArrowInvalid as error:
                raise self.mistake(f"no regular expression: {str(error).split(': ', 1)[-1]}", at=word) from error
        return Call(what, (left[0], Constant(word.text)))

    def sum(self) -> _Typed:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> _Typed:
        return self.arithmetic(("*", "/"), self.signed)

    def arithmetic(self, signs: tuple[str, ...], part: Callable[[], _Typed]) -> _Typed:
        left = part()
        while sign := self.takes(*signs):
            place = self.word
            self.operators += 1
            if self.operators > MOST:
                raise self.mistake(f"it has more than {MOST} signs of arithmetic")
            right = part()
            for _, kind in (left, right):
                if kind not in ("number", None):
                    raise self.mistake(f"{sign!r} is for numbers, not for a {kind}", at=place)
            left = Call(sign, (left[0], right[0])), "number"
        return left

    def signed(self) -> _Typed:
        sign = self.takes("-", "+")
        if not sign:
            return self.value()
        place = self.word
        self.deeper()
        node, kind = self.signed()
        self.depth -= 1
        if kind not in ("number", None):
            raise self.mistake(f"{sign!r} is for numbers, not for a {kind}", at=place)
        if sign == "-" and isinstance(node, Constant) and isinstance(node.value, int | float):
            return Constant(-node.value), "number"
        return (Call("negative", (node,)) if sign == "-" else node), "number"

    def value(self) -> _Typed:
        word = self.word
        self.at += 1
        if word.kind == "number":
            return Constant(_number(word.text)), "number"
        if word.kind == "text":
            return Constant(word.text), "text"
        if word.kind == "keyword" and word.text in ("true", "false"):
            return Constant(word.text == "true"), "flag"
        if word.kind == "keyword" and word.text == "null":
            return Constant(None), None
        if word.kind == "name":
            return self.column(word)
        if word.kind == "sign" and word.text == "(":
            self.deeper()
            inside = self.either()
            self.needs(")")
            self.depth -= 1
            return inside
        self.at -= 1
        raise self.mistake("a column, a number or a text in quotes is missing")

    def column(self, word: Word) -> _Typed:
        if self.word.kind == "sign" and self.word.text == "(":
            raise self.mistake("there are no functions", at=word)
        name = word.text if word.text in self.columns else word.text.lower()
        if name not in self.columns:
            quoted = f"a text stands in quotes: '{word.text}'; " if word.text in self.classes else ""
            hint = did_you_mean(word.text, self.columns) or f"columns: {', '.join(self.columns)}"
            message = f"there is no column {word.text!r}"
            raise UsageError.of("unknown-column", message, hint=quoted + hint)
        return Column(name), self.columns[name]

    def known_class(self, constant: Constant) -> None:
        name = constant.value
        if isinstance(name, str) and name not in self.classes:
            hint = did_you_mean(name, self.classes) or "`bboxconv inspect` lists the classes"
            message = f"the expression names a class that the data does not have: {name!r}"
            raise UsageError.of("unknown-class", message, hint=hint)


def _number(text: str) -> int | float:
    if text.isdecimal() and len(text) < 20 and int(text) < _LARGEST:
        return int(text)
    return float(text)


def _joined(what: str, parts: Sequence[Node]) -> Node:
    """Conditions joined two and two."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return Call(what, (_joined(what, parts[:middle]), _joined(what, parts[middle:])))
