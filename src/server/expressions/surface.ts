/**
 * What expressions see, in Python: people, groups, the request and the helpers of docs/reference/expressions.md. It runs
 * inside the interpreter with what the server told as JSON. Nothing here is a wall: every name can be replaced by the
 * expression, for its own call only (docs/architecture.md, decision 37).
 */
export const SURFACE = String.raw`
import ast, base64, collections, copy, datetime, functools, hashlib, importlib.util, io, ipaddress, itertools, json
import keyword, math, operator, os, re, string, sys, textwrap, traceback, types, unicodedata, urllib.parse, uuid
from ipaddress import ip_address, ip_network


class FieldError(Exception):
    """A filter names a field that is not there."""


class DoesNotExist(Exception):
    """get() found nothing."""


def _same(one, other):
    return one == other or (isinstance(one, uuid.UUID) and str(one) == str(other))


_LOOKUPS = {
    "exact": _same,
    "iexact": lambda one, other: str(one).lower() == str(other).lower(),
    "contains": lambda one, other: other in one,
    "icontains": lambda one, other: str(other).lower() in str(one).lower(),
    "startswith": lambda one, other: str(one).startswith(other),
    "istartswith": lambda one, other: str(one).lower().startswith(str(other).lower()),
    "endswith": lambda one, other: str(one).endswith(other),
    "iendswith": lambda one, other: str(one).lower().endswith(str(other).lower()),
    "in": lambda one, other: any(_same(one, each) for each in other),
    "regex": lambda one, other: re.search(other, str(one)) is not None,
    "iregex": lambda one, other: re.search(other, str(one), re.IGNORECASE) is not None,
    "isnull": lambda one, other: (one is None) == other,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MISSING = object()


def _field(item, path):
    value = item
    for index, name in enumerate(path):
        if isinstance(value, dict):
            value = value.get(name, _MISSING)
        elif index == 0 and name not in item.FIELDS:
            raise FieldError(f"cannot filter by {name!r}: the fields are {', '.join(item.FIELDS)}")
        else:
            value = getattr(value, name, _MISSING)
        if value is _MISSING:
            return _MISSING
    return value


def _matches(item, filters):
    for key, wanted in filters.items():
        path = key.split("__")
        lookup = path.pop() if len(path) > 1 and path[-1] in _LOOKUPS else "exact"
        value = _field(item, path)
        if lookup == "isnull" and value is _MISSING:
            value = None
        if value is _MISSING or not _LOOKUPS[lookup](value, wanted):
            return False
    return True


class QuerySet:
    """The common part of what lists of the database understand, over what is here already."""

    def __init__(self, items):
        self._items = list(items)

    def all(self):
        return self

    def filter(self, **filters):
        return QuerySet(item for item in self._items if _matches(item, filters))

    def exclude(self, **filters):
        return QuerySet(item for item in self._items if not _matches(item, filters))

    def order_by(self, *names):
        items = self._items
        for name in reversed(names):
            path = name.lstrip("-").split("__")
            items = sorted(items, key=lambda item: _field(item, path), reverse=name.startswith("-"))
        return QuerySet(items)

    def distinct(self, *_):
        return self

    def select_related(self, *_):
        return self

    prefetch_related = select_related

    def exists(self):
        return bool(self._items)

    def count(self):
        return len(self._items)

    def first(self):
        return self._items[0] if self._items else None

    def last(self):
        return self._items[-1] if self._items else None

    def get(self, **filters):
        found = self.filter(**filters)
        if found.count() != 1:
            raise DoesNotExist(f"get() found {found.count()}, not one")
        return found.first()

    def values_list(self, *names, flat=False):
        if flat and len(names) != 1:
            raise TypeError("values_list(flat=True) takes one field")
        rows = [tuple(_field(item, name.split("__")) for name in names) for item in self._items]
        return [row[0] for row in rows] if flat else rows

    def values(self, *names):
        return [{name: _field(item, name.split("__")) for name in names} for item in self._items]

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]

    def __contains__(self, item):
        return item in self._items

    def __repr__(self):
        return f"<QuerySet {self._items!r}>"


class _Model:
    def __eq__(self, other):
        return type(self) is type(other) and self.pk == other.pk

    def __hash__(self):
        return hash((type(self).__name__, self.pk))

    def __str__(self):
        return self.name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"{type(self).__name__} has no {name!r} here: see the reference of expressions")


class Group(_Model):
    FIELDS = ("pk", "uuid", "group_uuid", "name", "is_superuser", "attributes")

    def __init__(self, facts):
        self.name = facts["name"]
        self.pk = self.uuid = self.group_uuid = uuid.UUID(facts["pk"])
        self.is_superuser = facts["is_superuser"]
        self.attributes = facts["attributes"]

    def __repr__(self):
        return f"<Group: {self.name}>"


class User(_Model):
    FIELDS = ("pk", "id", "uuid", "uid", "username", "name", "email", "is_active", "is_superuser", "type", "path",
              "attributes")

    def __init__(self, facts):
        for name in self.FIELDS:
            setattr(self, name, facts["pk" if name == "id" else name])
        self.uuid = uuid.UUID(facts["uuid"])
        self.ak_groups = self.groups = QuerySet(Group(each) for each in facts["groups"])
        self._all_groups = QuerySet(Group(each) for each in facts["all_groups"])
        self._group_attributes = facts["group_attributes"]
        self._entitlements = QuerySet(Record(each) for each in facts.get("entitlements", []))
        self.is_authenticated = True
        self.is_anonymous = False

    def all_groups(self):
        return self._all_groups

    def group_attributes(self, request=None):
        return copy.deepcopy(self._group_attributes)

    def app_entitlements(self, application=None):
        return self._entitlements

    def get_full_name(self):
        return self.name

    def get_username(self):
        return self.username

    def __str__(self):
        return self.username

    def __repr__(self):
        return f"<User: {self.username}>"


class Record(dict):
    """Facts with a name each: provider, token, application, http_request."""

    FIELDS = property(lambda self: tuple(self))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            value = self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here: there is {', '.join(self) or 'nothing'}") from None
        return Record(value) if type(value) is dict else value

    def __hash__(self):
        return id(self)

    def __str__(self):
        return str(self.get("name", dict(self)))


class Headers(dict):
    def __init__(self, values):
        super().__init__((name.lower(), value) for name, value in values.items())

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())


class HttpRequest:
    def __init__(self, facts, client_ip, user):
        self.method = facts["method"]
        self.path = self.path_info = facts["path"]
        self.GET = dict(facts["query"])
        self.headers = Headers(facts["headers"])
        self.META = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in self.headers.items()}
        self.META.update(REQUEST_METHOD=self.method, PATH_INFO=self.path, REMOTE_ADDR=client_ip)
        self.user = user

    def get_full_path(self):
        return self.path + ("?" + urllib.parse.urlencode(self.GET) if self.GET else "")


class PolicyRequest:
    def __init__(self, user, http_request, obj, context):
        self.user, self.http_request, self.obj, self.context = user, http_request, obj, context
        self.debug = False


def ak_is_group_member(user, **filters):
    return user.all_groups().filter(**filters).exists()


def ak_user_by(**filters):
    known = {key: str(value) if isinstance(value, uuid.UUID) else value for key, value in filters.items()}
    facts = _ask({"kind": "user_by", "filters": known})
    return None if facts is None else User(facts)


def regex_match(value, regex):
    return re.search(regex, value) is not None


def regex_replace(value, regex, repl):
    return re.sub(regex, repl, value)


def list_flatten(value):
    if isinstance(value, (list, tuple, QuerySet)):
        return value[0] if len(value) else None
    return value


def slugify(value, allow_unicode=False):
    value = str(value)
    if allow_unicode:
        value = unicodedata.normalize("NFKC", value)
    else:
        value = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", value.lower())).strip("-_")


def ak_message(text):
    _tell({"kind": "message", "text": str(text)})


class Logger:
    def __init__(self, fields):
        self._fields = fields

    def bind(self, **fields):
        return Logger({**self._fields, **fields})

    new = bind

    def _log(self, level, event, args, fields):
        event = str(event)
        if args:
            event = event % args
        texts = {str(name): str(value) for name, value in {**self._fields, **fields}.items()}
        _tell({"kind": "log", "level": level, "event": event, "fields": texts})

    def debug(self, event="", *args, **fields):
        self._log("debug", event, args, fields)

    def info(self, event="", *args, **fields):
        self._log("info", event, args, fields)

    msg = info

    def warning(self, event="", *args, **fields):
        self._log("warning", event, args, fields)

    warn = warning

    def error(self, event="", *args, **fields):
        self._log("error", event, args, fields)

    critical = fatal = exception = error


HELPERS = {
    name: globals()[name]
    for name in ("ak_is_group_member", "ak_user_by", "ak_message", "ip_address", "ip_network", "regex_match",
                 "regex_replace", "list_flatten", "slugify")
}


def _context(call):
    """The names an expression has beside helpers; they are parameters, so it may assign to them."""
    facts = call["context"]
    user = User(facts["user"])
    client_ip = facts.get("client_ip", "255.255.255.255")
    http = HttpRequest(facts["http_request"], client_ip, user) if "http_request" in facts else None
    context = facts.get("context", {})
    application = Record(facts["application"]) if "application" in facts else None
    provider = Record(facts["provider"]) if "provider" in facts else None
    if provider is not None and application is not None:
        provider.setdefault("application", application)
    token = Record(facts["token"]) if "token" in facts else None
    obj = Record(facts["obj"]) if "obj" in facts else None
    names = {re.sub(r"[:.-]", "_", name): value for name, value in context.items()}
    names = {name: value for name, value in names.items() if name.isidentifier() and not keyword.iskeyword(name)}
    names.update(
        user=user,
        request=PolicyRequest(user, http, obj, context),
        http_request=http,
        context=context,
        provider=provider,
        token=token,
        application=application,
        ak_client_ip=ip_address(client_ip),
        ak_is_sso_flow=bool(context.get("is_sso", False)),
        ak_logger=Logger({}),
    )
    return names
`;
