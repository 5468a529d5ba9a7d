// Pictures in bfloat16, in 8 bits, and with the denoiser's weights in ggml's blocks against those in float32,
// from the same seeds:
//
//     compare_precisions MODEL [--prompt TEXT | --class ID] [--steps N] [--seeds N] [--size N] [--sampler
//     NAME]
//                        [--guidance X] [--types bf16,int8,q8_0,q6_k …]
//
// Prints, for each seed and precision, the peak signal-to-noise ratio of the picture in dB (on its 8-bit
// pixels) and the relative L2 of the latents; then the mean of the former.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <daguerre/daguerre.hpp>
#include <daguerre/pipeline/model.hpp>
#include <daguerre/pipeline/model_source.hpp>

#include "support/files.hpp"
#include "weights/gguf_convert.hpp"

namespace {

using namespace daguerre;

double psnr(const Image& picture, const Image& reference) {
  double squares = 0.0;
  const auto a = picture.pixels(), b = reference.pixels();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double off = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    squares += off * off;
  }
  return 10.0 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / squares);
}

double relative_l2(const Tensor<float>& actual, const Tensor<float>& expected) {
  double off = 0.0, size = 0.0;
  for (Index i = 0; i < expected.size(); ++i) {
    const double value = static_cast<double>(expected.data()[i]);
    off += std::pow(static_cast<double>(actual.data()[i]) - value, 2);
    size += value * value;
  }
  return std::sqrt(off / size);
}

/// The same model, its denoiser's weights rounded to blocks of that type as `daguerre convert` does.
ModelSource in_blocks(const ModelSource& source, const std::string& denoiser, DType type,
                      const std::filesystem::path& file) {
  auto part = source.part(denoiser);
  const auto state = part.weights({});
  std::vector<weights::StreamedTensor> tensors;
  for (const auto& name : state.names())
    tensors.push_back({name, state.find(name)->dtype, state.shape(name), {{state, name}}});
  weights::choose_gguf_types(tensors, type);
  const auto bytes = weights::data_bytes(tensors);
  const auto metadata = weights::gguf_metadata(tensors, {});
  weights::stream_gguf(file, std::move(tensors), metadata, [](std::uint64_t) {});
  std::printf("%-5s %.2f MB\n", std::string(name(type)).c_str(), static_cast<double>(bytes) / 1e6);
  part.given_weights = weights::StateDict::load(file);
  return source.with(part);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> result;
  std::istringstream stream(list);
  for (std::string word; std::getline(stream, word, ',');) result.push_back(word);
  return result;
}

DType block_called(const std::string& text) {
  for (int i = 0; i <= static_cast<int>(DType::tq2_0); ++i) {
    std::string known(name(static_cast<DType>(i)));
    std::transform(known.begin(), known.end(), known.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (known == text) return static_cast<DType>(i);
  }
  throw std::runtime_error("unknown type " + text);
}

void compare(const std::string& model, Request options, int seeds, const std::vector<std::string>& types) {
  const auto source = ModelSource::open(model);
  const auto reference = Pipeline::load(source, {.precision = Precision::float32});
  const std::string denoiser = reference.model().family().part(Part::Kind::denoiser)->name;
  const test::TempFolder folder;
  for (const auto& type : types) {
    const auto pipeline =
        type == "bf16" ? Pipeline::load(source, {.precision = Precision::bfloat16})
        : type == "int8"
            ? Pipeline::load(source, {.precision = Precision::int8})
            : Pipeline::load(in_blocks(source, denoiser, block_called(type), folder / (type + ".gguf")),
                             {.precision = Precision::float32});
    double sum = 0.0;
    for (int seed = 0; seed < seeds; ++seed) {
      options.sampling.seed = static_cast<std::uint64_t>(seed);
      const auto expected = reference.generate(options), actual = pipeline.generate(options);
      const double ratio = psnr(actual.images.front(), expected.images.front());
      sum += ratio;
      std::printf("%-5s seed %d: %6.2f dB, latents off by %.4f\n", type.c_str(), seed, ratio,
                  relative_l2(actual.latents, expected.latents));
    }
    std::printf("%-5s mean  : %6.2f dB\n", type.c_str(), sum / seeds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2 || argc % 2 != 0) throw std::runtime_error("usage: see the head of the source");
    Request options;
    options.sampling.steps = 20;
    int seeds = 4;
    std::vector<std::string> types{"bf16", "int8"};
    for (int i = 2; i < argc; i += 2) {
      const std::string name = argv[i], value = argv[i + 1];
      if (name == "--prompt")
        options.prompt = value;
      else if (name == "--class")
        options.class_labels = {std::atoi(value.c_str())};
      else if (name == "--steps")
        options.sampling.steps = std::atoi(value.c_str());
      else if (name == "--seeds")
        seeds = std::atoi(value.c_str());
      else if (name == "--size")
        options.size.width = options.size.height = std::atoi(value.c_str());
      else if (name == "--sampler")
        options.sampling.sampler = value;
      else if (name == "--types")
        types = split(value);
      else if (name == "--guidance")
        options.guidance.scale = std::strtof(value.c_str(), nullptr);
      else
        throw std::runtime_error("unknown option " + name);
    }
    compare(argv[1], options, seeds, types);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare_precisions: %s\n", error.what());
    return 1;
  }
}
