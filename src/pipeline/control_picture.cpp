#include "pipeline/control_picture.hpp"

#include <algorithm>

#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// Pixel (x, y) of the result is that of `from` at (x - left, y - top), or the nearest of its border.
Image placed(const Image& from, Index width, Index height, Index left, Index top) {
  Image result(width, height, from.channels());
  const Index channels = from.channels();
  auto* out = result.pixels().data();
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      const Index row = std::clamp<Index>(y - top, 0, from.height() - 1);
      const Index column = std::clamp<Index>(x - left, 0, from.width() - 1);
      const auto* in = from.pixels().data() + (row * from.width() + column) * channels;
      out = std::copy(in, in + channels, out);
    }
  return result;
}

}  // namespace

Image resized_as(const Image& picture, Index width, Index height, ControlResize how) {
  if (how == ControlResize::stretch || picture.empty()) return picture.resized(width, height);
  // Whether the picture is wider than it should be.
  const bool wider = picture.width() * height > width * picture.height();
  const bool by_height = wider == (how == ControlResize::crop);
  const Index inner_width =
      by_height ? std::max<Index>(1, picture.width() * height / picture.height()) : width;
  const Index inner_height =
      by_height ? height : std::max<Index>(1, picture.height() * width / picture.width());
  return placed(picture.resized(inner_width, inner_height), width, height, width / 2 - inner_width / 2,
                height / 2 - inner_height / 2);
}

Tensor<float> control_input(const ControlInfo& info, const Image& picture, Index width, Index height,
                            ControlResize how, const Tensor<float>& hidden) {
  const Index channels = info.reads == ControlInfo::Reads::pixels ? info.picture_channels : 3;
  if (channels != 1 && channels != 3)
    throw ArgumentError(pipeline_name,
                        info.config + " reads pictures of " + std::to_string(channels) +
                            " channels, which are no pictures: give them to the model as tensors");
  const auto fitted = resized_as(picture.to_channels(channels), width, height, how);
  auto result = info.centred ? to_tensor(fitted) : to_unit_tensor(fitted);
  if (hidden.empty()) return result;
  result = repeated(result, hidden.dim(0)).clone();
  for (Index i = 0; i < result.size(); ++i)
    if (hidden.data()[i / channels] >= 0.5f) result.data()[i] = -1.0f;
  return result;
}

std::vector<ControlTask> controls_for(const Request& request, const Task& task) {
  std::vector<ControlTask> controls;
  for (std::size_t i = 0; i < request.controls.size(); ++i) {
    const auto& use = request.controls[i];
    const std::string place = "control " + std::to_string(i);
    if (use.control == nullptr) throw ArgumentError(pipeline_name, place + " is not there");
    const auto& info = use.control->info();
    if (use.hides_masked && (task.mask.empty() || info.reads != ControlInfo::Reads::pixels || info.centred))
      throw ArgumentError(pipeline_name, place +
                                             " is to hide what is masked: that needs a mask, and a network "
                                             "that reads pixels from 0 to 1");
    const auto& picture = use.image.empty() && use.hides_masked ? request.input.image : use.image;
    const auto pictures = use.pictures.empty() ? std::vector<Image>{picture} : use.pictures;
    std::vector<Tensor<float>> inputs;
    for (const auto& one : pictures) {
      if (one.empty()) throw ArgumentError(pipeline_name, place + " has no image to keep to");
      inputs.push_back(control_input(info, one, task.width, task.height, use.resize,
                                     use.hides_masked ? task.mask : Tensor<float>()));
    }
    controls.push_back({.control = use.control,
                        .image = concat_leading<float>(inputs),
                        .frames = use.frames,
                        .scale = use.scale,
                        .start = use.start,
                        .end = use.end,
                        .guess_mode = use.guess_mode,
                        .mode = use.mode});
  }
  return controls;
}

}  // namespace daguerre
