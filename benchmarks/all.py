"""All benchmarks, one after the other, each in a process of its own.

    python benchmarks/all.py [--quick] [--only memory.py ...] [--sanafe sanafe/bin/python] [--avx2]

Prints the ratios at the end. Fails where a script does. With `--avx2` the scripts whose ratios depend on the
processor's vectors run with those of AVX2 alone, on both sides (see `limited_to_avx2` in common.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import common

SCRIPTS: dict[str, tuple[str, ...]] = {
    "startup.py": (),
    "timing_fidelity.py": (),
    "timing_vgg16.py": (),
    "functional_vs_torch.py": (),
    "functional_vs_frameworks.py": (),
    "vgg9_image.py": (),
    "compare_vs_torch.py": (),
    "sanafe_events.py": (),
    "sweep_reuse.py": (),
    "import_inputs.py": (),
    "scaling.py": ("--docs", "docs"),
    "large_networks.py": (),
    "memory.py": (),
    "nonideal.py": (),
    "training_step.py": (),
}
"""Scripts and what a whole run gives them."""
OF_VECTORS = ("functional_vs_torch.py", "vgg9_image.py", "compare_vs_torch.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="as small as can be; no rows are written")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--sanafe", help="a Python with SANA-FE", default=sys.executable)
    parser.add_argument(common.PROCESSOR, action="store_true", help="processor seconds, not those of a clock")
    parser.add_argument("--avx2", action="store_true", help=f"{', '.join(OF_VECTORS)} as without AVX-512")
    about = parser.parse_args()
    limits = common.limited_to_avx2() if about.avx2 else {}
    last, failed = {}, []
    for script in about.only:
        path = common.FOLDER / script
        if not path.exists() or (about.avx2 and script not in OF_VECTORS):
            continue
        more = ["--quick"] if about.quick else list(SCRIPTS[script])
        if about.processor_time:
            more.append(common.PROCESSOR)
        if script == "sanafe_events.py":
            more += ["--python", about.sanafe]
        print(f"--- {script}", flush=True)
        done = subprocess.run(
            [sys.executable, str(path), *more],
            cwd=common.FOLDER.parent,
            env=os.environ | limits,
            text=True,
            stdout=subprocess.PIPE,
        )
        print(done.stdout, flush=True)
        lines = done.stdout.splitlines() or [""]
        last[script] = lines[-1] if done.returncode == 0 else "failed"
        if done.returncode:
            failed.append(script)
    for script, line in last.items():
        print(f"{script:28} {line}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
