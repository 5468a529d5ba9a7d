#include <cstdio>
#include <cstring>
#include <string>

#include "conformance/case.hpp"

/// Holds the library against recorded cases: conformance DIR… [--engine NAME] [--precision f32|bf16|int8]
/// [--threads N] [--verbose]
///
/// One line a case: `pass|FAIL|unsupported  area/case  max_abs  rel_l2  bound`, the figures being those of
/// the quantity nearest to its bound; at last `N passed, N failed, N skipped`. Exit status 1 when a case
/// failed, 2 for wrong use.
namespace {

using namespace daguerre;

int usage(const std::string& problem) {
  std::fprintf(
      stderr,
      "conformance: %s\n"
      "usage: conformance DIR… [--engine NAME] [--precision f32|bf16|int8] [--threads N] [--verbose]\n",
      problem.c_str());
  return 2;
}

void print(const char* verdict, const std::string& name, const conformance::Check& check) {
  std::printf("%-11s  %-52s  %9.2e  %9.2e  %7.0e  %s\n", verdict, name.c_str(), check.difference.max_abs,
              check.difference.rel_l2, check.bound, check.name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  conformance::Options options;
  std::vector<std::string> folders;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string { return ++i < argc ? argv[i] : ""; };
    if (argument == "--engine") {
      options.engine = value();
    } else if (argument == "--precision") {
      try {
        options.precision = precision_called(value());
      } catch (const ArgumentError& error) {
        return usage(error.what());
      }
      if (options.precision == Precision::automatic)
        return usage("--precision auto is not one to be compared");
    } else if (argument == "--threads") {
      options.threads = std::atoi(value().c_str());
      if (options.threads < 1) return usage("--threads is a number above 0");
    } else if (argument == "--verbose") {
      verbose = true;
    } else if (argument.starts_with("-")) {
      return usage("unknown option " + argument);
    } else {
      folders.push_back(argument);
    }
  }
  if (folders.empty()) return usage("no folder is given");

  int passed = 0, failed = 0, skipped = 0;
  try {
    options.context();
    for (const auto& folder : folders) {
      if (!std::filesystem::is_directory(folder)) return usage(folder + " is not a folder");
      for (const auto& result : conformance::run_below(folder, options)) {
        if (result.unsupported || result.checks.empty()) {
          ++skipped;
          std::printf("unsupported  %-52s  %s\n", result.name.c_str(),
                      result.unsupported.value_or("nothing to compare").c_str());
          continue;
        }
        ++(result.passes() ? passed : failed);
        print(result.passes() ? "pass" : "FAIL", result.name, result.worst());
        if (verbose)
          for (const auto& check : result.checks)
            print(check.passes() ? "  pass" : "  FAIL", result.name, check);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "conformance: %s\n", error.what());
    return 1;
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}
