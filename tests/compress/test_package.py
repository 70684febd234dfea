"""What `mixkd.compress` offers to a program: functions, loaded when they are first asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import mixkd.compress

PUBLIC = sorted(mixkd.compress.__all__)


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_every_public_name_is_there_and_none_is_a_module() -> None:
    for name in PUBLIC:
        assert type(getattr(mixkd.compress, name)).__name__ != "module"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mixkd.compress.nothing  # noqa: B018 - the access is what is tested


def test_functions_stay_functions_whatever_module_was_imported_first() -> None:
    modules = sorted(path.stem for path in Path(mixkd.compress.__path__[0]).glob("[a-z]*.py"))
    assert not set(PUBLIC) & set(modules)
    imports = "".join(f"import mixkd.compress.{module}\n" for module in modules)
    ran = python(
        f"{imports}from mixkd.compress import augment, distill, finetune\n"
        "print(*(function.__name__ for function in (augment, distill, finetune)))"
    )
    assert ran.stdout == "augment distill finetune\n", ran.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    ran = python("import sys, mixkd.compress; print({'torch', 'transformers', 'numpy'} & set(sys.modules))")
    assert ran.stdout == "set()\n", ran.stderr


def test_missing_extra_says_what_to_install() -> None:
    ran = python(
        "import sys\nsys.modules['torch'] = None\n"
        "from mixkd.errors import MissingExtraError\n"
        "try: from mixkd.compress import distill\nexcept MissingExtraError as error: print(error)"
    )
    assert 'pip install "mixkd[compress]"' in ran.stdout, ran.stderr
