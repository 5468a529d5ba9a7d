#include "picture_features.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <daguerre/core/parallel.hpp>
#include <daguerre/ops/engine.hpp>

namespace daguerre::study {
namespace {

constexpr Index batch = 16;

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double off = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += off * off;
  }
  return sum;
}

}  // namespace

PictureFeatures::PictureFeatures(const std::filesystem::path& folder, int threads) {
  context_.engine = ops::make_engine();
  context_.threads = threads > 0 ? threads : available_threads();
  const LoadContext load{.compute = context_};
  autoencoder_ = ComponentRegistry::standard()
                     .open_autoencoder(ModelSource::open_folder(folder).part("vae"), load)
                     .load(load);
}

Tensor<float> PictureFeatures::of(std::span<const Image> pictures) const {
  std::vector<Tensor<float>> parts;
  for (std::size_t begin = 0; begin < pictures.size(); begin += batch) {
    std::vector<Tensor<float>> some;
    for (const auto& picture : pictures.subspan(begin, std::min<std::size_t>(batch, pictures.size() - begin)))
      some.push_back(to_tensor(picture));
    parts.push_back(autoencoder_->encode(context_, concat_leading<float>(some)).mean);
  }
  return concat_leading<float>(parts);
}

std::vector<Image> PictureFeatures::decode(const Tensor<float>& latents) const {
  return decode_unscaled(autoencoder_->info().from_model(latents));
}

std::vector<Image> PictureFeatures::reconstructed(std::span<const Image> pictures) const {
  return decode_unscaled(of(pictures));
}

std::vector<Image> PictureFeatures::decode_unscaled(const Tensor<float>& latents) const {
  std::vector<Image> result;
  for (Index begin = 0; begin < latents.dim(0); begin += batch) {
    const auto some = latents.slice(begin, std::min(begin + batch, latents.dim(0)));
    const auto decoded = autoencoder_->decode(context_, some);
    for (Index i = 0; i < some.dim(0); ++i) result.push_back(to_image(decoded, i));
  }
  return result;
}

Tensor<float> pooled(const Tensor<float>& features) {
  constexpr Index side = 4;
  const Index count = features.dim(0), height = features.dim(1), width = features.dim(2),
              channels = features.dim(3);
  if (height % side != 0 || width % side != 0)
    throw ArgumentError("pooled", "features " + to_string(features.shape()) + " do not divide into 4 x 4");
  const Index area_height = height / side, area_width = width / side;
  auto result = Tensor<float>::zeros({count, side * side * channels});
  const float share = 1.0f / static_cast<float>(area_height * area_width);
  const float* in = features.data();
  for (Index n = 0; n < count; ++n)
    for (Index y = 0; y < height; ++y)
      for (Index x = 0; x < width; ++x, in += channels) {
        float* out = result.data() + ((n * side + y / area_height) * side + x / area_width) * channels;
        for (Index c = 0; c < channels; ++c) out[c] += share * in[c];
      }
  return result;
}

std::vector<Match> nearest(const Tensor<float>& features, const Tensor<float>& training) {
  std::vector<Match> result;
  for (Index i = 0; i < features.dim(0); ++i) {
    const auto made = features[i];
    Match best{0, std::numeric_limits<double>::infinity()};
    for (Index j = 0; j < training.dim(0); ++j) {
      const double distance = squared_distance(made.span(), training[j].span());
      if (distance < best.distance) best = {static_cast<std::size_t>(j), distance};
    }
    best.distance = std::sqrt(best.distance);
    result.push_back(best);
  }
  return result;
}

}  // namespace daguerre::study
