/**
 * How an expression is compiled, checked and run, in Python; behind `surface.ts` in the same namespace. It talks with
 * the process around it by messages of one JSON object each over a file number that is no file (`wall.ts`).
 */

/** The file number. High enough that no file gets it. */
export const CHANNEL = 1000;

export const RUNNER = String.raw`
_SERVER = "an expression has no way out of the server"
_REFUSED = {
    "requests": f"{_SERVER}: put what it needs into attributes of users or groups",
    "resolve_dns": f"{_SERVER}: names cannot be looked up, compare addresses with ip_network(...)",
    "reverse_dns": f"{_SERVER}: names cannot be looked up, compare addresses with ip_network(...)",
    "ak_send_email": f"{_SERVER}: it cannot send e-mail; ak_logger writes to the log",
    "ak_create_event": "expressions write no events: ak_logger writes to the log",
    "ak_create_jwt": "expressions make no tokens: let the application ask for one of its own provider",
    "ak_create_jwt_raw": "expressions make no tokens: return claims instead",
    "ak_call_policy": "there are no policies written in Python: test groups with ak_is_group_member(...)",
    "ak_user_has_authenticator": "authenticators are not told to expressions",
    "open": "there are no files here",
    "input": "there is nobody to ask here",
    "breakpoint": "there is no debugger here",
}
_REFUSED_MODULES = {
    **{name: _SERVER for name in (
        "requests", "socket", "ssl", "http", "urllib.request", "urllib3", "httpx", "aiohttp", "ftplib", "smtplib",
        "poplib", "imaplib", "socketserver", "xmlrpc", "asyncio", "selectors", "select", "dns", "ldap3")},
    **{name: "expressions start no programs and no threads" for name in (
        "subprocess", "multiprocessing", "threading", "concurrent", "_thread", "pty", "signal")},
    **{name: "expressions stay in Python" for name in (
        "js", "pyodide", "pyodide_js", "_pyodide", "_pyodide_core", "ctypes", "_ctypes", "micropip")},
    **{name: "the server's own modules are not here: use user, request and the helpers" for name in (
        "authentik", "django", "rest_framework", "structlog")},
}


_NAMES = ("user", "request", "http_request", "context", "provider", "token", "application", "ak_client_ip",
          "ak_is_sso_flow", "ak_logger")


def _tell(message):
    os.write(_CHANNEL, json.dumps(message).encode())


def _hear():
    parts = []
    while part := os.read(_CHANNEL, 65536):
        parts.append(part)
    return json.loads(b"".join(parts))


def _ask(question):
    _tell({"kind": "ask", "question": question})
    return _hear()


class _Output(io.TextIOBase):
    """print: a line each in the log."""

    def __init__(self):
        self._rest = ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            _tell({"kind": "log", "level": "info", "event": line, "fields": {}})
        return len(text)

    def finish(self):
        if self._rest:
            self.write("\n")


class _Refused(Exception):
    def __init__(self, message, node):
        super().__init__(message)
        self.lineno, self.offset = node.lineno, node.col_offset + 1


def _refuse_module(name, node):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if reason := _REFUSED_MODULES.get(".".join(parts[:end])):
            raise _Refused(f"{name} cannot be imported: {reason}", node)
    if parts[0] not in sys.modules and importlib.util.find_spec(parts[0]) is None:
        raise _Refused(f"there is no module {parts[0]} here, only Python's own", node)


def _refuse(tree, source):
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                _refuse_module(each.name, node)
        elif isinstance(node, ast.ImportFrom):
            _refuse_module(node.module or ".", node)
            for each in node.names:
                if f"{node.module}.{each.name}" in _REFUSED_MODULES:
                    _refuse_module(f"{node.module}.{each.name}", node)
        elif isinstance(node, ast.Name) and node.id in _REFUSED and node.id not in bound:
            raise _Refused(f"{node.id} is not available: {_REFUSED[node.id]}", node)


def _compile(source, names):
    """A function of what the author wrote, at the author's lines: return stands at top level, as published."""
    source = source.replace("\r\n", "\n")
    first = next((line for line in source.split("\n") if line.strip() and not line.lstrip().startswith("#")), "")
    shift = 0
    if first[:1] in (" ", "\t"):
        dedented = textwrap.dedent(source)
        shift = len(first) - len(first.lstrip())
        source = dedented
    try:
        tree = ast.parse(source, "<expression>")
        _refuse(tree, source)
        module = ast.parse("def expression(): pass")
        function = module.body[0]
        function.args.args = [ast.arg(name) for name in names]
        if tree.body:
            function.body = tree.body
        ast.fix_missing_locations(module)
        return compile(module, "<expression>", "exec")
    except (SyntaxError, _Refused) as error:
        error.offset = (error.offset or 1) + shift
        raise


def _problem(error):
    if isinstance(error, (SyntaxError, _Refused)):
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        return {"line": max(error.lineno or 1, 1), "column": max(error.offset or 1, 1), "message": message}
    return {"line": 1, "column": 1, "message": f"{type(error).__name__}: {error}"}


class _NotJson(Exception):
    pass


def _json(value, where, depth=0):
    """What JSON can say of a value; sets, tuples and the like as lists, dates and addresses as text."""
    if depth > 50:
        raise _NotJson(f"{where} is nested too deeply")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if abs(value) > 9007199254740991:
            raise _NotJson(f"{where} is a number that JSON readers round: return it as text, str(...)")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _NotJson(f"{where} is {value}, which JSON does not know")
        return float(value)
    if isinstance(value, dict):
        out = {}
        for key, each in value.items():
            if not isinstance(key, (str, int, float, bool, type(None), uuid.UUID)):
                raise _NotJson(f"{where} has a key of type {type(key).__name__}: use text")
            out[str(key)] = _json(each, f"{where}[{str(key)!r}]", depth + 1)
        return out
    if isinstance(value, (list, tuple, set, frozenset, QuerySet, types.GeneratorType, map, filter, range,
                          type({}.keys()), type({}.values()))):
        return [_json(each, f"{where}[{index}]", depth + 1) for index, each in enumerate(value)]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, ipaddress._IPAddressBase)):
        return str(value)
    if isinstance(value, (User, Group)):
        raise _NotJson(f"{where} is a {type(value).__name__}: return one of its members, e.g. .name")
    raise _NotJson(f"{where} is of type {type(value).__name__}, which is not JSON")


def _line(error):
    """The author's line: the innermost one, for what helpers raise the one that called them."""
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<expression>"]
    return frames[-1] if frames else None


def _fail(kind, message, line=None):
    failure = {"kind": kind, "message": message[:2000]}
    if line is not None:
        failure["line"] = line
    _tell({"kind": "failed", "error": failure})


def _evaluate(call):
    output = sys.stdout = sys.stderr = _Output()
    try:
        names = _context(call)
        try:
            code = _compile(call["expression"], list(names))
        except Exception as error:
            problem = _problem(error)
            return _fail("refused", problem["message"], problem["line"])
        scope = {"__builtins__": __builtins__, "__name__": call["name"], **HELPERS}
        exec(code, scope)
        value = scope["expression"](**names)
        text = json.dumps(_json(value, "the result"), ensure_ascii=False, allow_nan=False)
        output.finish()
        os.write(_CHANNEL, ('{"kind":"done","value":' + text + "}").encode())
    except _NotJson as error:
        _fail("result", str(error))
    except MemoryError as error:
        line = _line(error)
        error = names = scope = value = None
        _fail("memory", "it needs more memory than expressions may use", line)
    except KeyboardInterrupt as error:
        _fail("time", "it took longer than expressions may take", _line(error))
    except BaseException as error:
        line = _line(error)
        text = str(error)
        _fail("raised", type(error).__name__ + (": " + text if text else ""), line)


def _check(call):
    problem = None
    try:
        _compile(call["expression"], _NAMES)
    except Exception as error:
        problem = _problem(error)
    _tell({"kind": "checked", "problem": problem})


def _run():
    call = _hear()
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if call["kind"] == "check":
        _check(call)
    else:
        _evaluate(call)
`;
