# SPDX-License-Identifier: MIT
# Holds kgen's kernels against llama.cpp's and MLX's, in turns, and with --model whole models. `make bench-peers` calls it;
# bench/README.md says what is compared. It needs python3 without any package.
#     python3 bench/peers.py --llama FOLDER [--mlx PYTHON] [--model FILE.gguf] ...
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys

# The matrix of ggml's own cases of MUL_MAT.
N, K = 4096, 14336

# ggml's type, and the format that kgen makes of it when it reads a checkpoint.
INTEGERS = {"layout": "tiles16", "group_size": 32}
TYPES = {
    "q4_0": dict(INTEGERS, scheme="symmetric", bits=4, scale_dtype="f16"),
    "q4_1": dict(INTEGERS, scheme="affine", bits=4, scale_dtype="f16"),
    "q5_0": dict(INTEGERS, scheme="symmetric", bits=5, scale_dtype="f16"),
    "q5_1": dict(INTEGERS, scheme="affine", bits=5, scale_dtype="f16"),
    "q8_0": dict(INTEGERS, scheme="symmetric", bits=8, scale_dtype="f16"),
    "q2_K": {"scheme": "q2_k"},
    "q3_K": {"scheme": "q3_k"},
    "q4_K": dict(INTEGERS, scheme="affine", bits=4, scale_dtype="f32"),
    "q5_K": dict(INTEGERS, scheme="affine", bits=5, scale_dtype="f32"),
    "q6_K": {"scheme": "q6_k"},
    "iq4_nl": {"scheme": "iq4_nl"},
    "mxfp4": {"scheme": "ggml_mxfp4"},
    "f16": {"scheme": "f16"},
    "bf16": {"scheme": "bf16"},
    "f32": {"scheme": "f32"},
}
PLAIN = ("f16", "bf16", "f32")  # ggml does not quantise the activations of these
CACHES = ("f16", "q8_0", "q4_0")
MLX_BITS = (4, 8)
TESTS = ("pp512", "tg128", "tg128@d4096")


class Failure(Exception):
    pass


def say(text):
    print(f"bench-peers: {text}", file=sys.stderr, flush=True)


def run(command, accepted=(0,), stdin=None, show=False):
    """The stdout of a command. Fails with the last line of its stderr."""
    try:
        done = subprocess.run(command, input=stdin, text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=None if show else subprocess.PIPE, check=False)
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from error
    if done.returncode not in accepted:
        lines = (done.stderr or "").strip().splitlines() or [""]
        raise Failure(f"{os.path.basename(command[0])} ends with exit status {done.returncode}: {lines[0]}")
    return done.stdout


def read_json(text, program):
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"{program} prints no JSON: {error}") from error


# ---- what is compared ----

class Case:
    """A case of a peer, and the problem of kgen. Where kgen has no kernel of vectors for n rows, as with ggml's blocks, it
    runs them one by one: by_row, and the problem is that of one row."""

    def __init__(self, op, kind, n, peer, problem):
        self.op, self.kind, self.n, self.peer, self.problem = op, kind, n, peer, problem
        self.by_row = False
        self.name = self.number = self.variant = self.made = None
        self.peer_times, self.kgen_times = [], []
        self.note = ""

    def title(self):
        return f"{self.op} {self.kind} n={self.n}"

    def ratio(self):
        if not self.peer_times or not self.kgen_times:
            return None
        return statistics.median(self.peer_times) / statistics.median(self.kgen_times)


def matrix_problem(fields, n, activation):
    problem = {"op": "qmv" if n == 1 else "qmm", "N": N, "K": K, **fields, "activation_dtype": activation}
    if n > 1:
        problem["M"] = n
    return problem


def choose_cases(options):
    cases = []
    for n in options.rows:
        for kind in options.types:
            activation = "f32" if kind in PLAIN else options.activation_dtype
            cases.append(Case("MUL_MAT", kind, n, "llama.cpp", matrix_problem(TYPES[kind], n, activation)))
    for kind in CACHES if options.attention else ():
        problem = {"op": "attention_decode", "heads": 64, "kv_heads": 8, "head_dim": 64, "context": 7680, "cache_dtype": kind}
        cases.append(Case("FLASH_ATTN_EXT", kind, 1, "llama.cpp", problem))
    for bits in MLX_BITS if options.mlx else ():
        fields = {"scheme": "affine", "bits": bits, "group_size": 64, "scale_dtype": "f32", "layout": "tiles16"}
        for n in (n for n in options.rows if n <= 8):
            case = Case("quantized_matmul", f"{bits} bit g64", n, "MLX", matrix_problem(fields, n, "f32"))
            case.bits = bits
            cases.append(case)
    return cases


def list_problems(options, problems, source="-"):
    """What kgen would do for the problems, in their order; of equal problems the first counts."""
    text = json.dumps({"name": "peers", "problems": problems}) if source == "-" else None
    found = read_json(run([options.kgen, source, "--dry-run", "--json"], stdin=text), options.kgen)
    return found["machine"], found["threads"], found["problems"]


def find_kernels(options, cases):
    """Leaves cases whose problem kgen does not have without one, and notes those that kgen runs row by row."""
    for case in cases:
        try:
            machine, _, (found,) = list_problems(options, [case.problem])
        except Failure as failure:
            say(f"{case.title()}: kgen has no such problem: {failure}")
            case.problem, case.note = None, "kgen has no such problem"
            continue
        vectors = any(template["isa"] != "generic" for template in found["templates"])
        if case.n > 1 and not vectors and machine["isas"] != ["generic"]:
            case.by_row, case.note = True, f"kgen: {case.n} calls of one row"
            case.problem = {key: value for key, value in case.problem.items() if key != "M"}
            case.problem["op"] = "qmv"


def tune(options, cases):
    """Tunes all problems, and gives each case its number and name."""
    problems = []
    for case in cases:
        if case.problem is not None and case.problem not in problems:
            problems.append(case.problem)
    spec = os.path.join(options.folder, "spec.json")
    with open(spec, "w", encoding="utf-8") as file:
        json.dump({"name": "peers", "problems": problems}, file, indent=1)
    machine, threads, found = list_problems(options, problems, spec)
    if len(found) != len(problems):
        raise Failure(f"kgen lists {len(found)} problems for {len(problems)}")
    for case in cases:
        if case.problem is not None:
            at = found[problems.index(case.problem)]
            case.number, case.name = at["number"], at["name"]
    say(f"tuning {len(problems)} problems of kgen (what the cache has is not tuned again)")
    limit = ["--time-limit", str(options.tune_seconds)] if options.tune_seconds > 0 else []
    tuned = read_json(run([options.kgen, spec, "-o", os.path.join(options.folder, "out"), "--json", *limit], accepted=(0, 4),
                          show=True), options.kgen)
    # A choice that the time limit cut short is no record; the name of the variant does for either.
    variants = {problem["name"]: problem["variant"] for problem in tuned["problems"]}
    for case in cases:
        if case.problem is not None:
            variant = variants.get(case.name)
            if variant is None:
                raise Failure(f"kgen has no kernel for {case.name}")
            case.variant, case.made = variant["name"], variant["made"]
    return spec, machine, threads


# ---- times ----

def time_ggml(options, case):
    pattern = (f"^type_a={case.kind},type_b=f32,m={N},n={case.n},k={K},bs=\\[1,1\\],nr=\\[1,1\\],per=\\[0,1,2,3\\]"
               if case.op == "MUL_MAT" else
               f"^hsk=64,hsv=64,nh=8,nr23=\\[8,1\\],kv=7680,nb=1,.*type_K={case.kind},type_V={case.kind},")
    text = run([os.path.join(options.llama, "test-backend-ops"), "perf", "-b", "CPU", "-o", case.op, "-p", pattern])
    found = re.search(r"-\s*([0-9.]+) us/run", text)
    if found is None:
        raise Failure(f"test-backend-ops has no case {case.title()}: {pattern}")
    return float(found.group(1)) * 1e-6


def time_mlx(options, case):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers_mlx.py")
    version, seconds = run([options.mlx, script, *map(str, (case.n, N, K, case.bits, 64))]).split()
    options.mlx_version = version
    return float(seconds)


def time_full_context(options, case):
    """kgen run times attention at a typical position; ggml's cases fill the caches."""
    spec = os.path.join(options.folder, "attention.json")
    with open(spec, "w", encoding="utf-8") as file:
        json.dump({"name": "attention", "problems": [case.problem]}, file)
    seconds, case.variant = run([options.full_context, spec, case.name]).strip().split(" ", 1)
    return float(seconds)


def time_kgen(options, spec, case):
    if case.op == "FLASH_ATTN_EXT":
        return time_full_context(options, case)
    found = read_json(run([options.kgen, "run", spec, str(case.number), *case.variant.split(), "--json", "-q"]), options.kgen)
    if not found["right"]:
        raise Failure(f"{case.variant} is wrong for {case.name}: {found['detail']}")
    # Each call reads weights that no cache holds.
    return found["cold_us"] * 1e-6 * (case.n if case.by_row else 1)


def time_cases(options, spec, cases):
    """Returns the cases that were timed in all rounds: fewer where a signal ends it."""
    for i, case in enumerate(cases):
        for turn in range(options.rounds):
            say(f"case {i + 1} of {len(cases)}, {case.title()}: round {turn + 1} of {options.rounds}")
            try:
                case.peer_times.append((time_mlx if case.peer == "MLX" else time_ggml)(options, case))
                if case.problem is not None:
                    case.kgen_times.append(time_kgen(options, spec, case))
            except KeyboardInterrupt:
                options.interrupted = True
                say(f"interrupted: {i} of {len(cases)} cases were timed")
                return cases[:i]
    return cases


# ---- models ----

def llama_rate(options, test):
    found = re.fullmatch(r"(pp|tg)(\d+)(?:@d(\d+))?", test)
    prompt, text = (found[2], "0") if found[1] == "pp" else ("0", found[2])
    rows = read_json(run([os.path.join(options.llama, "llama-bench"), "-m", options.model, "-p", prompt, "-n", text, "-d",
                          found[3] or "0", "-r", "1", "-t", str(options.threads), "-o", "json"]), "llama-bench")
    return rows[0]["avg_ts"]


def kgen_rate(options, test, activation, repeats=1, show=False):
    positions = max(sum(map(int, re.findall(r"\d+", test))) for test in options.tests)
    rows = read_json(run([options.kgen, "bench", options.model, "--tests", test, "-r", str(repeats), "--json", "--context",
                          str(positions), "--activation-dtype", activation, "--tune-seconds",
                          str(options.tune_seconds or 60)] + ([] if show else ["-q"]), show=show), options.kgen)
    return rows[0]["tokens_per_second"]


def time_model(options):
    results = [{"test": test, "llama.cpp": [], "kgen i24": [], "kgen i8": []} for test in options.tests]
    for activation in ("i24", "i8"):
        say(f"tuning {options.model} with {activation} activations")
        kgen_rate(options, options.tests[0], activation, show=True)
    for result in results:
        for turn in range(options.rounds):
            say(f"model, {result['test']}: round {turn + 1} of {options.rounds}")
            result["llama.cpp"].append(llama_rate(options, result["test"]))
            for activation in ("i24", "i8"):
                result[f"kgen {activation}"].append(kgen_rate(options, result["test"], activation))
    return results


# ---- the result ----

def milliseconds(times):
    return f"{statistics.median(times) * 1e3:.3f}" if times else "-"


def print_table(head, rows):
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(text.ljust(width) if i == 0 or i == len(head) - 1 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(row, widths))).rstrip())


def print_results(options, cases, models):
    rows = [(f"{case.title()}", case.peer, milliseconds(case.peer_times), milliseconds(case.kgen_times),
             f"{case.ratio():.2f}" if case.ratio() else "-", case.note) for case in cases]
    if rows:
        print_table(("case", "peer", "peer ms", "kgen ms", "peer/kgen", ""), rows)
    rows = []
    for model in models:
        rates = {key: statistics.median(value) for key, value in model.items() if key != "test"}
        rows.append((model["test"], *(f"{rate:.1f}" for rate in rates.values()),
                     *(f"{rates[key] / rates['llama.cpp']:.2f}" for key in ("kgen i24", "kgen i8")), ""))
    if rows:
        print(f"\n{os.path.basename(options.model)}, tokens a second")
        print_table(("test", "llama.cpp", "kgen i24", "kgen i8", "i24/llama.cpp", "i8/llama.cpp", ""), rows)


def cmake_flags(folder):
    """What the build of llama.cpp was configured with; empty where it is not known."""
    flags = {}
    try:
        with open(os.path.join(folder, "..", "CMakeCache.txt"), encoding="utf-8") as file:
            for line in file:
                found = re.match(r"(CMAKE_BUILD_TYPE|CMAKE_C_FLAGS|CMAKE_C_COMPILER|GGML_NATIVE|GGML_OPENMP|GGML_CPU_REPACK|GGML_LLAMAFILE|GGML_BLAS):\w+=(.*)", line)
                if found:
                    flags[found[1]] = found[2]
    except OSError:
        pass
    return flags


def llama_version(options):
    done = subprocess.run([os.path.join(options.llama, "llama-bench"), "--version"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    found = re.search(r"version: (.*)", done.stdout)
    version = found[1] if found else "unknown"
    try:
        with open(os.path.join(options.llama, "..", "..", "package"), encoding="utf-8") as file:
            version += f", of {file.read().strip()}"
    except OSError:
        pass
    return version


def marks(options, cases, version):
    """The times of the peers as kgen report --peers reads them: of one call of kgen's problem. Attention is not among them, as
    the report has its time at a typical position."""
    found = []
    for case in cases:
        if case.name is None or case.by_row or case.op == "FLASH_ATTN_EXT":
            continue
        name = f"MLX {options.mlx_version}" if case.peer == "MLX" else f"llama.cpp {version}"
        found.append({"name": name, "problem": case.name, "seconds": statistics.median(case.peer_times),
                      "settings": f"{case.title()}, {options.threads} threads, one matrix again and again, in turns with kgen"})
    return found


def result_of(case):
    return {"op": case.op, "type": case.kind, "n": case.n, "peer": case.peer, "problem": case.name,
            "calls": case.n if case.by_row else 1, "variant": case.variant, "made": case.made, "peer_seconds": case.peer_times,
            "kgen_seconds": case.kgen_times, "ratio": case.ratio(), "note": case.note}


def write_json(options, cases, models, machine, version):
    document = {
        "peers": marks(options, cases, version),
        "results": [result_of(case) for case in cases],
        "model": options.model,
        "models": models,
        "versions": {"kgen": run([options.kgen, "--version"]).strip(), "llama.cpp": version, "mlx": options.mlx_version},
        "llama.cpp flags": cmake_flags(options.llama),
        "machine": machine,
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "rounds": options.rounds,
    }
    with open(options.json + ".part", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    os.replace(options.json + ".part", options.json)


# ---- the command ----

def words(text, known=None):
    found = text.replace(",", " ").split()
    for word in found:
        if known is not None and word not in known:
            raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(known)}")
    return found


def read_options(arguments):
    parser = argparse.ArgumentParser(description="kgen's kernels beside llama.cpp's and MLX's, in turns")
    parser.add_argument("--kgen", default="./kgen")
    parser.add_argument("--llama", required=True, help="folder of a build of llama.cpp, or of its programs")
    parser.add_argument("--mlx", default="", help="a python3 that has mlx; none: MLX is left out")
    parser.add_argument("--folder", default="build/peers", help="for the spec and the sources that tuning writes")
    parser.add_argument("--json", default="build/peers.json")
    parser.add_argument("--types", type=lambda text: words(text, TYPES), default=list(TYPES))
    parser.add_argument("--rows", type=lambda text: [int(n) for n in words(text, ("1", "2", "3", "4", "5", "8", "512"))],
                        default=[1, 8, 512])
    parser.add_argument("--activation-dtype", choices=("f32", "i24", "i16", "i8"), default="i8")
    parser.add_argument("--no-attention", dest="attention", action="store_false")
    parser.add_argument("--full-context", default="build/bench/full_context", help="the program that times attention")
    parser.add_argument("--no-kernels", dest="kernels", action="store_false", help="the model alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tune-seconds", type=int, default=0, help="limit of the tuning; 0: none (of a model 60)")
    parser.add_argument("--model", default="")
    parser.add_argument("--tests", type=words, default=list(TESTS))
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    for test in options.tests:
        if not re.fullmatch(r"(pp|tg)\d+(@d\d+)?", test):
            parser.error(f"--tests: '{test}' is no test such as pp512 or tg128@d4096")
    options.mlx_version = None
    options.interrupted = False
    return options


def find_programs(options):
    for folder in (options.llama, os.path.join(options.llama, "bin")):
        if os.access(os.path.join(folder, "test-backend-ops"), os.X_OK):
            options.llama = folder
            break
    else:
        raise Failure(f"{options.llama} holds no test-backend-ops, nor does its folder bin")
    if options.model:
        if not os.access(os.path.join(options.llama, "llama-bench"), os.X_OK):
            raise Failure(f"{options.llama} holds no llama-bench, which a model needs")
        if not os.path.exists(options.model):
            raise Failure(f"{options.model}: there is no such file")


def interrupt(number, frame):
    raise KeyboardInterrupt


def main(arguments):
    options = read_options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        find_programs(options)
        os.makedirs(options.folder, exist_ok=True)
        cases = choose_cases(options) if options.kernels else []
        if cases:
            find_kernels(options, cases)
            spec, machine, options.threads = tune(options, cases)
            cases = time_cases(options, spec, cases)
        else:
            machine, options.threads, _ = list_problems(options, [{"op": "add", "size": 4096}])
        models = time_model(options) if options.model and not options.interrupted else []
        version = llama_version(options)
        write_json(options, cases, models, machine, version)
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{machine['name']}, {machine['threads']} threads, {' '.join(machine['isas'])}; load {os.getloadavg()[0]:.1f}; "
          f"medians of {options.rounds} rounds in turns; llama.cpp {version}"
          + (f"; MLX {options.mlx_version}" if options.mlx_version else ""))
    print_results(options, cases, models)
    print(f"\nwritten to {options.json}"
          + (f"; the roofline: {options.kgen} report {spec} --peers {options.json}" if cases else ""))
    return 130 if options.interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
