// What a linear layer whose weights stay in ggml's blocks takes, to the same layer packed:
//
//     block_products [--threads N] [--engine NAME] [--precision f32|bf16|int8] [--types q8_0,q4_k]
//                    [--rows 77,256] [--layer IN,OUT] [--repeats N]
//
// Each line is a layer and a number of rows: the packed product in milliseconds and GFLOP/s, then for each
// type of blocks the mapped one's ratio to it. All take turns in one process; the least time of each counts.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <daguerre/core/error.hpp>
#include <daguerre/ops/engine.hpp>

namespace {

using namespace daguerre;

struct Layer {
  Index in, out;
};
struct Options {
  int threads = available_threads();
  std::string engine = "auto", precision = "bf16";
  std::vector<DType> types{DType::q8_0, DType::q4_k};
  std::vector<Index> rows{77, 256, 512, 1280, 4352};
  std::vector<Layer> layers{{3072, 9216}, {3072, 21504}, {15360, 3072}, {4096, 10240}};
  int repeats = 5;
};

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) result.push_back(part);
  return result;
}

DType block_type(const std::string& text) {
  for (const auto& dtype :
       {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::q2_k, DType::q3_k,
        DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs}) {
    std::string lower(name(dtype));
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (lower == text) return dtype;
  }
  throw ArgumentError("block_products", "no type of blocks is called \"" + text + "\"");
}

Options parsed(int argc, char** argv) {
  Options result;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (++i == argc) throw ArgumentError("block_products", option + " needs a value");
    const std::string value = argv[i];
    const auto numbers = [&] {
      std::vector<Index> all;
      for (const auto& part : parts_of(value)) all.push_back(std::atol(part.c_str()));
      return all;
    };
    if (option == "--threads") {
      result.threads = std::atoi(value.c_str());
    } else if (option == "--engine") {
      result.engine = value;
    } else if (option == "--precision") {
      result.precision = value;
    } else if (option == "--types") {
      result.types.clear();
      for (const auto& part : parts_of(value)) result.types.push_back(block_type(part));
    } else if (option == "--rows") {
      result.rows = numbers();
    } else if (option == "--layer") {
      const auto extents = numbers();
      if (extents.size() != 2) throw ArgumentError("block_products", "--layer takes IN,OUT");
      result.layers = {{extents[0], extents[1]}};
    } else if (option == "--repeats") {
      result.repeats = std::atoi(value.c_str());
    } else {
      throw ArgumentError("block_products", "unknown option " + option);
    }
  }
  return result;
}

/// Blocks of random bytes whose scales are small: the numbers do not matter here, but they are finite.
ops::WeightSource random_blocks(DType dtype, const Layer& layer) {
  const auto bytes = std::make_shared<std::vector<std::byte>>(
      static_cast<std::size_t>(bytes_of(dtype, layer.in * layer.out)));
  std::mt19937_64 generator(7);
  for (auto& byte : *bytes) byte = static_cast<std::byte>(generator());
  const auto size = static_cast<std::size_t>(block_of(dtype).bytes);
  const std::size_t half_at = [&]() -> std::size_t {
    switch (dtype) {
      case DType::q2_k:
        return 80;
      case DType::q3_k:
        return 108;
      case DType::q6_k:
        return 208;
      default:
        return 0;
    }
  }();
  const bool has_minimum = dtype == DType::q4_1 || dtype == DType::q5_1 || dtype == DType::q2_k ||
                           dtype == DType::q4_k || dtype == DType::q5_k;
  for (std::size_t block = 0; block < bytes->size(); block += size)
    for (std::size_t i = 0; i < (has_minimum ? 2u : 1u); ++i) {
      (*bytes)[block + half_at + 2 * i] = std::byte{0};
      (*bytes)[block + half_at + 2 * i + 1] = std::byte{0x04};  // 2^-14
    }
  return ops::block_source(dtype, {layer.out, layer.in}, *bytes, bytes);
}

struct Candidate {
  std::string name;
  std::function<void()> run;
  double least = std::numeric_limits<double>::infinity();
};

void time_in_turns(std::vector<Candidate>& candidates, int repeats) {
  using Clock = std::chrono::steady_clock;
  for (auto& candidate : candidates) candidate.run();  // makes primitives, finds memory
  for (int i = 0; i < repeats; ++i)
    for (auto& candidate : candidates) {
      const auto begin = Clock::now();
      candidate.run();
      candidate.least =
          std::min(candidate.least, std::chrono::duration<double>(Clock::now() - begin).count());
    }
}

template <class T>
void measure(const Options& options, const ops::Context& packed) {
  auto mapped = packed;
  mapped.placement = ops::WeightPlacement::mapped;
  for (const auto& layer : options.layers) {
    std::vector<std::pair<std::string, std::shared_ptr<const ops::PackedLinear<T>>>> layers;
    const auto source = random_blocks(options.types.front(), layer);
    layers.emplace_back("packed", packed.engine->as<T>().pack_linear(packed, source, {}));
    for (const auto& type : options.types)
      layers.emplace_back(std::string(name(type)),
                          packed.engine->as<T>().pack_linear(mapped, random_blocks(type, layer), {}));
    for (const Index rows : options.rows) {
      Tensor<float> values({rows, layer.in});
      std::mt19937 generator(1);
      for (float& value : values.span()) value = static_cast<float>(generator()) / 2147483648.0f - 1.0f;
      const auto x = values.to<T>();
      std::vector<Candidate> candidates;
      for (const auto& [name, linear] : layers)
        candidates.push_back({name, [&packed, &x, linear = linear] { (*linear)(packed, x); }});
      time_in_turns(candidates, options.repeats);
      const double base = candidates.front().least;
      const double flops = 2.0 * static_cast<double>(rows * layer.in * layer.out);
      std::printf("%5ld -> %5ld %5ld rows  packed %8.2f ms %6.1f GFLOP/s", layer.in, layer.out, rows,
                  1e3 * base, 1e-9 * flops / base);
      for (const auto& candidate : std::span(candidates).subspan(1))
        std::printf("  %s %.3f", candidate.name.c_str(), candidate.least / base);
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

void run(const Options& options) {
  ops::Context context;
  context.engine = ops::make_engine(options.engine);
  context.threads = options.threads;
  if (options.precision == "int8") context.engine = ops::make_int8_engine(context.engine);
  if (options.precision == "f32")
    measure<float>(options, context);
  else
    measure<bfloat16>(options, context);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parsed(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
