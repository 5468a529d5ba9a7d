// Pictures in bfloat16 and in 8 bits against those in float32, from the same seeds:
//
//     compare_precisions MODEL [--prompt TEXT | --class ID] [--steps N] [--seeds N] [--size N] [--sampler
//     NAME]
//                        [--guidance X]
//
// Prints, for each seed and precision, the peak signal-to-noise ratio of the picture in dB (on its 8-bit
// pixels) and the relative L2 of the latents; then the mean of the former.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <daguerre/daguerre.hpp>

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

void compare(const std::string& model, Request options, int seeds) {
  const auto reference = Pipeline::load(model, {.precision = Precision::float32});
  for (const auto precision : {Precision::bfloat16, Precision::int8}) {
    const auto pipeline = Pipeline::load(model, {.precision = precision});
    double sum = 0.0;
    for (int seed = 0; seed < seeds; ++seed) {
      options.sampling.seed = static_cast<std::uint64_t>(seed);
      const auto expected = reference.generate(options), actual = pipeline.generate(options);
      const double ratio = psnr(actual.images.front(), expected.images.front());
      sum += ratio;
      std::printf("%-5s seed %d: %6.2f dB, latents off by %.4f\n", std::string(short_name(precision)).c_str(),
                  seed, ratio, relative_l2(actual.latents, expected.latents));
    }
    std::printf("%-5s mean  : %6.2f dB\n", std::string(short_name(precision)).c_str(), sum / seeds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2 || argc % 2 != 0) throw std::runtime_error("usage: see the head of the source");
    Request options;
    options.sampling.steps = 20;
    int seeds = 4;
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
      else if (name == "--guidance")
        options.guidance.scale = std::strtof(value.c_str(), nullptr);
      else
        throw std::runtime_error("unknown option " + name);
    }
    compare(argv[1], options, seeds);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare_precisions: %s\n", error.what());
    return 1;
  }
}
