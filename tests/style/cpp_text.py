"""C++ as text: comments and literals blanked out, and where functions begin and end. Counts braces; it is no parser, and code
that misleads it would mislead a reader too."""

import re

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'""", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
PARENTHESES = re.compile(r"\([^()]*\)")
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|extern)\b")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def code_only(text):
    """The same text, line for line and column for column, without comments and what stands in quotes. Includes stay."""
    return TOKEN.sub(lambda match: match[0] if is_include(text, match.start()) else blank(match), text)


def is_include(text, position):
    return text[text.rfind("\n", 0, position) + 1:position].strip().startswith("#include")


def is_function(head):
    """Whether this text before a brace announces a function's body."""
    if ")" not in head:
        return False
    bare = re.sub(r"\boperator\s*[^\s\w(]+", "operator", head)
    while (shorter := PARENTHESES.sub("", bare)) != bare:
        bare = shorter
    return "=" not in bare and not re.search(r"\benum\b", bare) and not (SCOPE.search(bare) and "(" not in head)


def functions(text):
    """(first line, last line) of every function's head and body; nested ones belong to the one around them."""
    code = DIRECTIVE.sub(blank, code_only(text))
    found, scopes, head_from, line, begun, ended = [], [], 0, 1, None, None
    for position, character in enumerate(code):
        if character == "\n":
            line += 1
        elif character == "{":
            head = code[head_from:position]
            inside = any(kind == "function" for kind, _ in scopes)
            # Members that are initialised in braces look like bodies; what follows them is the rest of the same function.
            goes_on = ended is not None and head.strip()[:1] in ("", ",")
            kind = "function" if not inside and (goes_on or is_function(head)) else "other"
            if kind == "function":
                begun = ended if goes_on else line - head.lstrip().count("\n")
            scopes.append((kind, begun))
        elif character == "}" and scopes:
            kind, first = scopes.pop()
            ended = first if kind == "function" else None
            if kind == "function":
                found.append((first, line))
        if character in "{};":
            head_from = position + 1
        if character in "{;":
            ended = None
    return found
