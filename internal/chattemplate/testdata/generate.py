"""Writes language.json: small templates as rendered by transformers' jinja2, and
families.json: conversations rendered by the templates of ../families.

    pip install transformers jinja2 && python generate.py

Each tests one rule of the language: blanks, values as text, filters, tests, methods,
scopes, errors.
"""

import json
from pathlib import Path

import oracle

HERE = Path(__file__).parent
VARIABLES = {
    "messages": [{"role": "user", "content": "Hi", "n": 2}, {"role": "assistant", "content": "Yo", "n": 1.5}, {"role": "tool", "n": True}],
    "s": "Grüße, ßtraße, it's a \"Test\"\n", "t": "a b  c\td", "e": "", "n": None, "i": 7, "f": 2.5, "z": 0, "yes": True,
    "d": {"b": 1, "a": [1, 2.0, None, "x'y"], "items": "own", "ü": "ö", "nested": {"k": {"deep": "\u2028<&>"}}},
    "l": [3, 1, 2], "words": ["b", "A", "c", "a"], "big": 123456789012345678901234567890, "tiny": 1e-7, "huge": 1e22, "neg": -7,
    "float_whole": 3.0, "empty_list": [], "empty_dict": {},
}
BLANKS = """
a {% if yes %}b{% endif %} c
  {% if yes %}
  x
  {% endif %}
y|||a
  {#- comment -#}
b|||{{- 'x' -}}   y|||  {%- set q = 1 -%}
 z {{ q }}|||{% if yes +%}
a
{% endif %}|||a
   {%+ if yes %}b{% endif %}|||{% raw %}{{ x }} {% y %}
{% endraw %}
z|||{%- raw -%}  {{ x }}  {%- endraw -%}  z|||{# a #}
b|||  {# a #}
b|||x{% if yes %}
{% endif %}


|||{{ '}}' }}{{ {'a': {'b': 1}} }}|||
	{%  set  x = 1  %}
	{{x}}|||{% for x in l -%}
 {{ x }}
{%- endfor %}|||{{ "a" "b"
 'c' }}|||line
{{ i
}}
|||a\r\nb\rc|||{#+ x +#}
a|||{{ '%}' }}{% set a = '%}' %}{{ a }}
""".strip("\n").split("|||")
VALUES = """
i|||f|||n|||yes|||s|||d|||l|||big|||tiny|||huge|||neg|||float_whole|||missing|||(1,)|||(1, 'a', [None])|||()|||{}|||[]|||{1: 'a', None: 2.5, 'k': (1, 2)}|||1e3|||1_000|||0x1F|||0b11|||1.5e-8
100000000000000000000000|||-i|||+f|||- 2 ** 2|||2 ** 3 ** 2|||2 ** -1|||7 // 2|||-7 // 2|||7 % -3|||-7 % 3|||7.5 % -2|||7 / 2|||6 / 2|||i + f|||'a' + 'b'|||'ab' * 3|||[1] * 2|||[1] + [2]|||(1,) + (2,)
i ~ s ~ n ~ missing|||'a' ~ 1 + 2|||1 < 2 < 3|||1 < 2 > 3|||'a' in 'abc'|||'b' in d|||5 not in l|||not yes|||yes and 0|||z or 'x'|||1 if yes else 2|||1 if z|||'x' if z else 'y' if z else 'q'|||1 == 1.0 == yes|||[1, 2] == [1.0, 2]|||(1,) == [1]
'a' 'b'|||"\\n\\t\\x41\\u00e9\\101\\q\\'"|||true|||True|||none|||None|||s[0]|||s[-1]|||s[1:5]|||s[::-1]|||s[:-3]|||s[100]|||l[0]|||l[-1]|||l[5]|||l[::2]|||l[::-1]|||l[1:]|||l[-2:]|||l[5:1]|||t[3:1]|||d['b']|||d.b|||d.items|||d['items']|||d.missing|||d.nested.k.deep|||d['nested']['k']
messages[0].role|||messages[0]['content']|||messages.0.role|||messages[-1].content is defined|||'%s-%d-%.2f-%5s|%-5s|%05d|%x' % ('a', 3, 2.0, 'b', 'c', 42, 255)|||'%s' % 'a'|||'%%'|||'%s' % (n,)|||'%(a)s' % {'a': 1}|||'{} {1} {x}'.format(1, 2, x=3)|||'{} {} {x}'.format(1, 2, x=3)
'{} {}'.format('a', n)|||'{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{!r}'.format('a', 'b', 'c', 42, 1.5, 'q')|||'{{}}'.format()|||range(3)|||range(1, 7, 2)|||range(3)|list|||range(5, 0, -2)|list|||range(3)[1]|||dict(a=1, b=[2])|||dict(d, z=1)|||dict([('a', 1)])|||namespace(a=1).a|||namespace(a=1).b
d.get('b')|||d.get('x')|||d.get('x', 5)|||d.keys()|list|||d.values()|list|||d.items()|list|length|||d.nested.items()|list|||messages|map(attribute='role')|list|||messages|map(attribute='content', default='-')|join(',')|||words|map('upper')|join|||words|map('replace', 'a', 'z')|list
messages|selectattr('role', 'equalto', 'user')|list|||messages|selectattr('role', '==', 'user')|list|length|||messages|rejectattr('role', 'in', ['user', 'tool'])|map(attribute='content')|list|||messages|selectattr('content')|list|length|||messages|selectattr('content', 'defined')|list|length|||l|select('odd')|list|||l|reject('gt', 1)|list|||l|select|list
n|selectattr('x')|list|||missing|map('upper')|list|||messages|selectattr('n', 'number')|map(attribute='n')|list|||l|sort|||l|sort(reverse=true)|||words|sort|||words|sort(case_sensitive=true)|||messages|sort(attribute='role')|map(attribute='role')|list|||words|unique|list|||l|sum|||l|min|||l|max|||words|min|||empty_list|max
messages|sum(attribute='n')|||l|reverse|list|||'abc'|reverse|||l|first|||l|last|||empty_list|first|||empty_list|last|||l|join(', ')|||words|join|||d|dictsort|||{'b': 1, 'A': 2}|dictsort|||{'b': 1, 'A': 0}|dictsort(by='value')|||d|length|||s|length|||missing|length|||l|count|||d|list|||'ab'|list|||l|batch(2)|list|||l|batch(2, 'x')|list
d|items|list|||missing|items|list|||s|upper|||s|lower|||s|title|||s|capitalize|||t|title|||"they're here-now (or)"|title|||"they're".title()|||'ﬁn ǆ'.title()|||'ΑΣ ΑΣΑ'|lower|||s|trim|||'xxaxx'|trim('x')|||s|replace('e', 'E')|||s|replace('ß', 'ss', 1)|||'aaa'.replace('a', 'b', 2)|||''.replace('', 'x')|||'ab'.replace('', '-')
i|string|||'5'|int|||'5.7'|int|||'x'|int|||'x'|int(3)|||'0x1f'|int(0, 16)|||'ff'|int(base=16)|||2.9|int|||-2.9|int|||'2.5'|float|||'x'|float|||yes|int|||n|int|||-5|abs|||-2.5|abs|||2.567|round(2)|||2.5|round|||3.5|round|||2.1|round(method='ceil')|||42|round(-1)|||missing|default('x')|||n|default('x')|||n|default('x', true)|||e|d('x', boolean=true)|||e|default('x')
'<a href="x">&\\'</a>'|e|||'<a>'|escape|||'<a>'|safe|||'a\\nb\\n\\nc'|indent|||'a\\nb'|indent(2, true)|||'a\\n\\nb'|indent(2, blank=true)|||'a\\nb'|indent('> ')|||'a b'|center(9)|||'a b c'|wordcount|||'%s-%s'|format('a', 2)|||s|tojson|||d|tojson|||d|tojson(indent=2)|||d|tojson(indent=0)|||d.a|tojson(separators=(',', ':'))|||d|tojson(ensure_ascii=true)|||{'b': 1, 'a': 2}|tojson(sort_keys=true)
empty_list|tojson|||empty_dict|tojson(indent=4)|||(1, 2)|tojson|||{1: 2, None: 3, true: 4}|tojson|||huge|tojson|||tiny|tojson|||big|tojson|||'\\x7f\\x00\\b\\f🙂'|tojson|||'🙂é'|tojson(ensure_ascii=true)|||s.strip()|||'  a '.lstrip()|||'  a '.rstrip()|||'xyax'.strip('xy')|||t.split()|||t.split(' ')|||t.split(' ', 1)|||t.split(none, 1)|||t.rsplit(' ', 1)|||t.rsplit(none, 1)|||''.split()|||''.split(',')
'a</think>b</think>c'.split('</think>')[-1]|||'a\\nb\\r\\nc\\n'.splitlines()|||'a\\nb'.splitlines(true)|||'abc'.startswith('ab')|||'abc'.startswith(('x', 'a'))|||'abc'.startswith('b', 1)|||'abc'.endswith('bc')|||'abc'.endswith(('x',))|||'abcb'.find('b')|||'abcb'.rfind('b')|||'äbc'.find('c')|||'abc'.find('x')|||'abcabc'.find('b', 2)|||'aXbX'.count('X')|||','.join(['a', 'b'])|||','.join('abc')
'abc'.removeprefix('a')|||'abc'.removesuffix('c')|||'a.b.c'.partition('.')|||'a.b.c'.rpartition('.')|||'abc'.partition('x')|||'abc'.rpartition('x')|||'5'.zfill(3)|||'-5'.zfill(4)|||'a'.ljust(3) ~ '|'|||'a'.rjust(3, '*')|||'ab'.center(5, '*')|||'abc'.center(6, '*')|||'aBc'.swapcase()|||'a\\tb'.expandtabs(4)|||'12'.isdigit()|||''.isdigit()|||'ab1'.isalnum()|||'ab'.isalpha()|||' \\n'.isspace()|||'AB1'.isupper()|||'1'.isupper()|||'ab'.islower()|||'a_1'.isidentifier()
l.index(1)|||l.count(3)|||l.append|||d.update|||i is number|||i is integer|||f is float|||yes is boolean|||yes is integer|||yes is number|||s is string|||l is sequence|||l is iterable|||d is mapping|||d is sequence|||d is iterable|||d.items() is sequence|||n is none|||n is not none|||missing is defined|||missing is undefined|||missing is iterable|||i is odd|||i is even|||i is divisibleby 7|||i is divisibleby(3)|||i is eq 7|||i is in [7, 8]|||i is gt 3|||i is sameas i
1 is sameas true|||s is upper|||'abc' is lower|||yes is true|||1 is true|||z is false|||namespace is callable|||range is callable|||s is callable|||'upper' is filter|||'odd' is test|||i is not in [1]|||missing.x is defined|||messages|length > 2|||messages[:2]|length|||(messages|first).role|||(messages|selectattr('role', 'equalto', 'user')|first).content|||messages|map('attr', 'role')|list
strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %a %A %j %y %I %p %e %-d %-m %U %W %w %u %G-%V %F %T %% %f')|||'a,b'.split(',')|join(' ')|||[1, [2, (3,)]]|||'a' < 'b'|||[1, 2] < [1, 3]|||1 != 1.0|||('a', 'b')[0]|||l|map('string')|join('+')|||d.a[3]|||l[i - 6]|||l[:i]|||'a' if l else 'b'|||{'a': 1}.a|||[x for x in l]|||1 +|||(1|||foo(|||'x|||{{|||a b|||i is|||i|||x is defined is none
""".strip("\n").replace("\n", "|||").split("|||")
ERRORS = """
{{ missing.x }}|||{{ missing.x.y }}|||{{ d.missing.x }}|||{{ missing + 1 }}|||{{ missing() }}|||{{ i() }}|||{{ 'a' + 1 }}|||{{ 1 / 0 }}|||{{ 1 // 0 }}|||{{ l.append(1) }}|||{{ d.update({}) }}|||{{ i|nope }}|||{{ i is nope }}|||{{ l < 1 }}|||{{ missing < 1 }}|||{{ n|length }}|||{{ n|list }}|||{% for x in n %}{% endfor %}|||{% for x in i %}{% endfor %}
{{ missing|tojson }}|||{{ 1|join }}|||{% set a, b = [1] %}|||{% set d.x = 1 %}|||{{ range(100001) }}|||{{ range(1, 2, 0) }}|||{{ raise_exception('my own: ' ~ i) }}|||{{ l['x'].y }}|||{{ s.nope() }}|||{{ s.startswith(1) }}|||{{ ','.join([1]) }}|||{{ 'abc'.index('x') }}|||{{ ''.split('') }}|||{{ namespace(_x=1) }}|||{% set ns = namespace() %}{% set ns._x = 1 %}|||{{ 'a' in 1 }}|||{{ 1 in 'a' }}
{{ '%d' % 'x' }}|||{{ '%s %s' % 1 }}|||{% if %}{% endif %}|||{% endif %}|||{% if yes %}|||{% for %}{% endfor %}|||{% nope %}|||{% macro %}{% endmacro %}|||{{ l|selectattr }}|||{{ {'a': 1}[[1]] }}|||{{ missing|int }}|||{{ -missing }}|||{{ -s }}|||{{ words|map('nope')|list }}|||{{ l|sort(attribute='x') }}|||{{ [1, 'a']|sort }}|||{{ {[1]: 2} }}|||{{ '' if missing.a else 1 }}|||{{ s[1:'a'] }}|||{{ l|first|length }}|||{{ l|map('string')|length }}|||{{ messages|selectattr('role')|tojson }}
""".strip("\n").replace("\n", "|||").split("|||")
STATEMENTS = [
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if not loop.first else '-' }}>{{ loop.nextitem.role if loop.nextitem is defined else '-' }} {% endfor %}",
    "{% for m in messages if m.role != 'user' %}{{ loop.index }}:{{ m.role }} {% else %}none{% endfor %}",
    "{% for m in empty_list %}x{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }} {% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for c in 'aé' %}<{{ c }}>{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 2) }}{% endfor %}", "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in [1, [2, [3]]] recursive %}{% if x is number %}{{ loop.depth }}:{{ x }} {% else %}({{ loop(x) }}){% endif %}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{{ x }}{% set x = y %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% if yes %}{% set x = 5 %}{% endif %}{{ x }}", "{% set x %}a {{ i }}{% endset %}[{{ x }}]", "{% set x | upper | replace('A', 'b') %}a {{ i }}{% endset %}[{{ x }}]",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set ns = namespace(d, q=1) %}{{ ns.b }}{{ ns.q }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(*[7, 8]) }} {{ m(**{'a': 9}) }} {{ m() }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}<{{ caller(a) }}>{% endmacro %}{% call(x) m(3) %}{{ x }}!{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro m() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ m() }}", "{{ m() }}{% macro m() %}{% endmacro %}",
    "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m() %}{% set x = 1 %}{% endmacro %}{{ m() }}{{ x }}",
    "{% filter upper %}a {{ s }}{% endfilter %}", "{% filter replace('a', 'b') | trim %} aa {% endfilter %}", "{% with a = 1, b = i %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "a{% generation %}b{% endgeneration %}c{% for x in l %}é{% generation %}{{ x }}{% endgeneration %}{% endfor %}", "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}",
    "{%- for x in l -%}\n{% generation -%}  {{ x }}  {%- endgeneration %}\n{%- endfor -%}", "{% if z %}a{% elif yes %}b{% elif q %}c{% else %}d{% endif %}", "{% if z %}a{% elif z %}b{% else %}d{% endif %}", "{% do 1 %}",
    "{% set x = joiner('|') %}{{ x() }}{{ x() }}{{ x() }}", "{% for m in messages[::-1] %}{{ m.role }} {% endfor %}", "{% set x = messages|selectattr('role', 'equalto', 'user') %}{{ 'y' if x }}{{ x|list|length }}{{ x|list|length }}",
    "{% for x in range(3) %}{{ x }}{% endfor %}", "{% set d2 = dict(d, **{'new': 1}) %}{{ d2.new }}{{ d.new is defined }}", "{% if messages[0] is mapping and 'content' in messages[0] %}y{% endif %}", "{% for m in messages %}{% set content = m.content | default('', true) %}{{ content }},{% endfor %}{{ content is defined }}",
    "{%if yes%}a{%endif%}", "{% for x in l %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "{{ d.nested | tojson | length }}", "{{ nothing }}",
    "{% for k, v in d.nested | dictsort %}{{ k }}{% endfor %}", "{% for x in l | sort %}{{ x }}{% endfor %}", "{% for x in (l | sort)[:2] %}{{ x }}{% endfor %}", "{% set x = 'a' %}{% set x = x ~ 'b' %}{{ x }}", "{{ 'a' if messages | length and messages[0].role == 'user' else 'b' }}",
]


def main():
    sources = BLANKS + ["{{ " + v + " }}" for v in VALUES] + ERRORS + STATEMENTS
    cases = []
    for source in dict.fromkeys(sources):
        case = {"source": source, **oracle.render(source, VARIABLES)}
        del case["variables"]
        if not case.get("spans"):
            case.pop("spans", None)
        if case.get("text", "").startswith("<") and " at 0x" in case["text"]:
            continue
        cases.append(case)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    variables = {**oracle.SPECIAL, **VARIABLES}
    (HERE / "language.json").write_text(f'{{"variables": {json.dumps(variables, ensure_ascii=False)},\n"cases": [\n{lines}\n]}}\n')

    write_families()


SHORT = ["system", "prompt", "one", "thoughts", "invalid order", "tools, system"]


def write_families():
    cases = []
    for path in sorted((HERE.parent / "families").glob("*.jinja")):
        for name in SHORT:
            case = oracle.render(path.read_text(), oracle.CONVERSATIONS[name])
            del case["variables"]
            cases.append({"template": path.stem, "conversation": name, **case})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    variables = {name: {**oracle.SPECIAL, "tools": None, **oracle.CONVERSATIONS[name]} for name in SHORT}
    conversations = json.dumps(variables, ensure_ascii=False)
    (HERE / "families.json").write_text(f'{{"conversations": {conversations},\n"cases": [\n{lines}\n]}}\n')


main()
