#include "daguerre/pipeline/components.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

void check_channels(const LatentFormat& format, const Tensor<float>& latents) {
  const auto channels = static_cast<Index>(format.mean.size());
  if (latents.rank() == 0 || latents.dim(-1) != channels)
    throw ArgumentError(pipeline_name, "latents " + to_string(latents.shape()) + ", the means are of " +
                                           std::to_string(channels) + " channels");
}

}  // namespace

void Autoencoder::decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding&,
                              const FrameSink& sink) const {
  const auto frames =
      latents.reshape({latents.dim(0) * latents.dim(1), latents.dim(2), latents.dim(3), latents.dim(4)});
  for (Index i = 0; i < frames.dim(0); ++i) {
    context.check_stop();
    const auto frame = decode(context, frames.slice(i, i + 1));
    sink(frame.reshape({1, 1, frame.dim(1), frame.dim(2), frame.dim(3)}));
  }
}

Tensor<float> LatentFormat::to_model(const Tensor<float>& latents) const {
  if (mean.empty()) return affine(latents, scale, -shift * scale);
  check_channels(*this, latents);
  Tensor<float> result(latents.shape());
  float* const out = result.data();
  for (Index i = 0; i < result.size(); ++i) {
    const auto c = static_cast<std::size_t>(i % static_cast<Index>(mean.size()));
    out[i] = (latents.data()[i] - mean[c]) * scale / std[c];
  }
  return result;
}

Tensor<float> LatentFormat::from_model(const Tensor<float>& latents) const {
  if (mean.empty()) return affine(latents, 1.0f / scale, shift);
  check_channels(*this, latents);
  Tensor<float> result(latents.shape());
  float* const out = result.data();
  for (Index i = 0; i < result.size(); ++i) {
    const auto c = static_cast<std::size_t>(i % static_cast<Index>(mean.size()));
    out[i] = latents.data()[i] * std[c] / scale + mean[c];
  }
  return result;
}

}  // namespace daguerre
