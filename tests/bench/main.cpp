// Micro-benchmarks. Beside Google Benchmark's own options: --threads=N, by default as many as there are
// processors.

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "bench.hpp"

namespace daguerre::bench {

Tensor<float> random_tensor(const Shape& shape) {
  std::mt19937 generator(1);
  Tensor<float> result(shape);
  for (float& value : result.span()) value = static_cast<float>(generator()) / 2147483648.0f - 1.0f;
  return result;
}

ops::Context context(int threads, const std::string& engine) {
  ops::Context result;
  result.engine = ops::make_engine(engine);
  result.threads = threads;
  return result;
}

void add(const std::string& name, std::function<Prepared()> prepare) {
  using benchmark::Counter;
  benchmark::RegisterBenchmark(name.c_str(),
                               [prepare = std::move(prepare)](benchmark::State& state) {
                                 const auto prepared = prepare();
                                 prepared.call();  // makes primitives, finds memory
                                 for ([[maybe_unused]] const auto _ : state) prepared.call();
                                 const auto rate = [](double each) {
                                   return Counter(each, Counter::kIsIterationInvariantRate);
                                 };
                                 state.counters["bytes/s"] = rate(prepared.work.bytes);
                                 if (prepared.work.flops > 0)
                                   state.counters["FLOP/s"] = rate(prepared.work.flops);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace daguerre::bench

int main(int argc, char** argv) {
  int threads = daguerre::available_threads();
  constexpr const char* option = "--threads=";
  int kept = 1;
  for (int i = 1; i < argc; ++i)
    if (std::strncmp(argv[i], option, std::strlen(option)) == 0)
      threads = std::atoi(argv[i] + std::strlen(option));
    else
      argv[kept++] = argv[i];
  argc = kept;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv) || threads < 1) return 2;
  daguerre::bench::add_products(threads);
  daguerre::bench::add_memory_operations(threads);
  benchmark::RunSpecifiedBenchmarks();
}
