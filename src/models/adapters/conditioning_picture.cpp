#include "daguerre/models/adapters/conditioning_picture.hpp"

#include <algorithm>

#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace {

nn::Conv2d<float> conv_of_three(const nn::Loader& loader, Index in, Index out, int stride) {
  return {loader, in, out, 3, ops::ConvGeometry::same(1, stride)};
}

}  // namespace

ConditioningPicture::ConditioningPicture(const nn::Loader& loader, const ConditioningPictureOptions& options)
    : options_(options) {
  if (options.plain) {
    convs_.push_back(conv_of_three(loader, options.in_channels, options.out_channels, 1));
    return;
  }
  const auto& channels = options.channels;
  convs_.push_back(conv_of_three(loader.sub("conv_in"), options.in_channels, channels.front(), 1));
  int block = 0;
  for (std::size_t i = 0; i + 1 < channels.size(); ++i) {
    convs_.push_back(conv_of_three(loader.sub("blocks", block++), channels[i], channels[i], 1));
    convs_.push_back(conv_of_three(loader.sub("blocks", block++), channels[i], channels[i + 1], 2));
  }
  convs_.push_back(conv_of_three(loader.sub("conv_out"), channels.back(), options.out_channels, 1));
}

Tensor<float> ConditioningPicture::operator()(const ops::Context& context,
                                              const Tensor<float>& picture) const {
  const Index ratio = options_.ratio();
  if (picture.rank() != 4 || picture.empty() || picture.dim(3) != options_.in_channels ||
      picture.dim(1) % ratio != 0 || picture.dim(2) % ratio != 0)
    throw ArgumentError("controlnet", "a picture " + to_string(picture.shape()) + ", expected [N, H, W, " +
                                          std::to_string(options_.in_channels) + "] with sides that " +
                                          std::to_string(ratio) + " divides");
  auto x = picture;
  if (options_.bgr) {
    auto channels = ops::chunk(context, picture, static_cast<int>(options_.in_channels), -1);
    std::reverse(channels.begin(), channels.end());
    x = ops::concat<float>(context, channels, -1);
  }
  for (const auto& conv : convs_) {
    x = conv(context, x);
    if (&conv != &convs_.back()) x = ops::activate(context, x, ops::Activation::silu);
  }
  return x;
}

}  // namespace daguerre::models
