#include "pipeline/canvas.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/media/filter.hpp"
#include "pipeline/control_picture.hpp"
#include "pipeline/infotext_names.hpp"
#include "pipeline/name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

enum class Fit { inside, over };  ///< all of the picture and repeated edges, or cut where it is too much

/// The picture in proportion at that size, in the middle (modes 2 and 1 of the web UI's resize_image).
Image fitted(const Image& image, Index width, Index height, Fit fit) {
  const bool narrower = width * image.height() < image.width() * height;  // than the picture
  const bool by_width = (fit == Fit::inside) == narrower;
  const Index w = by_width ? width : std::max<Index>(1, image.width() * height / image.height());
  const Index h = by_width ? std::max<Index>(1, image.height() * width / image.width()) : height;
  const auto scaled = image.resized(w, h);
  return w == width && h == height ? scaled
                                   : cut_out(scaled, w / 2 - width / 2, h / 2 - height / 2, width, height);
}

/// The surroundings of what is masked, blurred into it from afar and from near, as the web UI's
/// `masking.fill` layers them.
Image filled(const Image& picture, const Image& mask) {
  Image known = picture.to_channels(4);  // colours times alpha, and alpha, which is 0 under the mask
  const auto pixels = known.pixels();
  for (std::size_t i = 0; i < pixels.size(); i += 4) {
    const unsigned keep = 255u - mask.pixels()[i / 4];
    for (std::size_t c = 0; c < 3; ++c) pixels[i + c] = static_cast<std::uint8_t>(pixels[i + c] * keep / 255);
    pixels[i + 3] = static_cast<std::uint8_t>(keep);
  }
  std::vector<float> result(static_cast<std::size_t>(picture.width() * picture.height() * 3));
  struct Layer {
    double radius;
    int times;
  };
  for (const auto& [radius, times] : {Layer{256, 1}, {64, 1}, {16, 2}, {4, 4}, {2, 2}, {0, 1}}) {
    const auto layer = gaussian_blur(known, radius);
    for (std::size_t i = 0; i < result.size(); ++i) {
      const std::size_t pixel = i / 3 * 4;
      const float alpha = static_cast<float>(layer.pixels()[pixel + 3]) / 255.0f;
      if (alpha == 0.0f) continue;
      const float colour = std::min(255.0f, static_cast<float>(layer.pixels()[pixel + i % 3]) / alpha);
      const float rest = std::pow(1.0f - alpha, static_cast<float>(times));
      result[i] = result[i] * rest + colour * (1.0f - rest);
    }
  }
  Image image(picture.width(), picture.height(), 3);
  std::transform(result.begin(), result.end(), image.pixels().begin(),
                 [](float value) { return static_cast<std::uint8_t>(std::nearbyint(value)); });
  return image;
}

/// How far a pixel lies outside of an area, in pixels; 0 inside.
Index pixels_outside(const Area& area, Index x, Index y) {
  const Index across = std::max({area.left - x, x - (area.left + area.width - 1), Index{0}});
  const Index down = std::max({area.top - y, y - (area.top + area.height - 1), Index{0}});
  return std::max(across, down);
}

/// Edges drawn out beyond `inner`, the more blurred the farther away.
void blur_beyond(Image& picture, const Area& inner) {
  constexpr double radius = 24.0;
  constexpr float reach = 64.0f;
  const auto blurred = gaussian_blur(picture, radius);
  for (Index y = 0; y < picture.height(); ++y)
    for (Index x = 0; x < picture.width(); ++x) {
      const float part = std::min(1.0f, static_cast<float>(pixels_outside(inner, x, y)) / reach);
      for (Index c = 0; c < 3 && part > 0.0f; ++c) {
        const auto i = static_cast<std::size_t>((y * picture.width() + x) * 3 + c);
        const float near = picture.pixels()[i], far = blurred.pixels()[i];
        picture.pixels()[i] = static_cast<std::uint8_t>(std::nearbyint(near + part * (far - near)));
      }
    }
}

bool asks_for_pixels(const Inpainting& how) {
  return how.only_masked || how.keep_unmasked.value_or(false) || how.outpaint.any() ||
         how.content == MaskedContent::fill;
}

bool asks_for_mask(const Inpainting& how) {
  return how.mask_blur != 0.0 || how.mask_grow != 0 || how.only_masked || how.keep_unmasked.value_or(false) ||
         how.differential || how.content != MaskedContent::original;
}

void check_inpainting(const Request& request) {
  const auto& image = request.input.image;
  const auto& mask = request.input.mask;
  const auto& how = request.input.inpainting;
  const auto refuse = [](const std::string& what) { throw ArgumentError(pipeline_name, what); };
  constexpr Index most = Image::max_side;
  const auto& out = how.outpaint;
  for (const Index side : {out.left, out.top, out.right, out.bottom, out.overlap})
    if (side < 0 || side > most)
      refuse("outpainting by " + std::to_string(side) + " pixels, expected 0 to " + std::to_string(most));
  if (how.only_masked && (*how.only_masked < 0 || *how.only_masked > most))
    refuse("a padding of " + std::to_string(*how.only_masked) + " pixels around the mask, expected 0 to " +
           std::to_string(most));
  if (asks_for_mask(how) && mask.empty() && !out.any())
    refuse("blur, growth, content or area of a mask is asked for, and there is no mask");
  if (asks_for_pixels(how) && image.empty())
    refuse(out.any() ? "outpainting needs the picture that is to grow"
                     : "what is to be kept or filled in pixels needs the picture itself");
  if (out.any() && !request.sampling.noise.empty() && !(request.size.width && request.size.height))
    refuse("outpainting from given noise needs the size");
}

}  // namespace

std::optional<Area> bounds_of(const Image& mask, Index padding) {
  Index left = mask.width(), right = -1, top = mask.height(), bottom = -1;
  for (Index y = 0; y < mask.height(); ++y)
    for (Index x = 0; x < mask.width(); ++x) {
      if (mask.pixels()[static_cast<std::size_t>(y * mask.width() + x)] == 0) continue;
      left = std::min(left, x), right = std::max(right, x);
      top = std::min(top, y), bottom = std::max(bottom, y);
    }
  if (right < 0) return std::nullopt;
  left = std::max<Index>(0, left - padding), top = std::max<Index>(0, top - padding);
  return Area{left, top, std::min(mask.width(), right + 1 + padding) - left,
              std::min(mask.height(), bottom + 1 + padding) - top};
}

Area in_proportion(const Area& area, Index width, Index height, const Image& picture) {
  const double wanted = static_cast<double>(width) / static_cast<double>(height);
  const bool wider = static_cast<double>(area.width) / static_cast<double>(area.height) > wanted;
  /// From `begin` on so much longer, half of it on either side, moved back into the picture and cut to it.
  const auto stretched = [](Index& begin, Index& length, double longer, Index limit) {
    const auto more = static_cast<Index>(longer - static_cast<double>(length));
    begin -= more / 2;
    Index end = begin + length + more;
    if (end >= limit) begin -= end - limit, end = limit;
    if (begin < 0) end -= begin, begin = 0;
    length = std::min(end, limit) - begin;
  };
  auto result = area;
  if (wider)
    stretched(result.top, result.height, static_cast<double>(area.width) / wanted, picture.height());
  else
    stretched(result.left, result.width, static_cast<double>(area.height) * wanted, picture.width());
  return result;
}

Canvas Canvas::of(const Request& request, Index multiple, const Extent& trained) {
  Canvas canvas(request);
  check_inpainting(request);
  auto& input = canvas.request_.input;
  canvas.masked_ = !input.mask.empty();
  const auto& how = input.inpainting;
  const bool pixels = asks_for_pixels(how);
  canvas.keeps_ = how.keep_unmasked.value_or(how.only_masked.has_value() || how.outpaint.any());
  if (!pixels && how.mask_blur == 0.0 && how.mask_grow == 0) {
    canvas.describe();
    return canvas;
  }
  if (!input.image.empty()) canvas.picture_ = input.image.to_channels(3);
  if (!input.mask.empty()) {
    canvas.mask_ = input.mask.channels() == 1 ? input.mask : input.mask.to_channels(3);
    if (!input.image.empty())  // pixels are the picture's
      canvas.mask_ = canvas.mask_.resized(input.image.width(), input.image.height());
    canvas.mask_ = canvas.mask_.to_channels(1);
  }
  if (how.outpaint.any()) canvas.grow_picture(multiple);
  canvas.mask_ = gaussian_blur(grown(canvas.mask_, how.mask_grow), how.mask_blur);
  if (how.content == MaskedContent::fill)
    input.image = filled(canvas.picture_, canvas.mask_);
  else if (pixels)
    input.image = canvas.picture_;
  input.mask = canvas.mask_;
  if (how.only_masked) {
    const auto bounds = bounds_of(canvas.mask_, *how.only_masked);
    if (!bounds) throw ArgumentError(pipeline_name, "the mask is black: there is nothing to paint");
    const Index width = request.size.width.value_or(trained[1]),
                height = request.size.height.value_or(trained[0]);
    if (width < 1 || height < 1 || std::max(width, height) > Image::max_side)
      throw ArgumentError(pipeline_name, "the area around the mask cannot be worked on at " +
                                             std::to_string(width) + " x " + std::to_string(height));
    canvas.work_on(in_proportion(*bounds, width, height, canvas.picture_), width, height);
  }
  canvas.describe();
  return canvas;
}

/// The picture drawn out by its sides; without a size of the request's own by a few pixels more, which are
/// not shown, so that its sides are multiples.
void Canvas::grow_picture(Index multiple) {
  const auto& how = request_.input.inpainting;
  const auto& out = how.outpaint;
  const Area inner{out.left, out.top, picture_.width(), picture_.height()};
  Index width = inner.width + out.left + out.right, height = inner.height + out.top + out.bottom;
  const auto rounded = [&](Index side) { return (side + multiple - 1) / multiple * multiple; };
  if (!how.only_masked && request_.size.width.value_or(rounded(width)) == rounded(width) &&
      request_.size.height.value_or(rounded(height)) == rounded(height)) {
    shown_ = Area{0, 0, width, height};
    width = rounded(width);
    height = rounded(height);
  }
  const Image before = mask_;
  picture_ = cut_out(picture_, -out.left, -out.top, width, height);
  blur_beyond(picture_, inner);
  mask_ = Image(width, height, 1);
  // What is kept ends so far inside of the sides that grow.
  const auto inset = [&](Index side) { return side > 0 ? out.overlap : 0; };
  const Index right = width - inner.left - inner.width, bottom = height - inner.top - inner.height;
  const Area kept{inner.left + inset(out.left), inner.top + inset(out.top),
                  inner.width - inset(out.left) - inset(right),
                  inner.height - inset(out.top) - inset(bottom)};
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      auto& value = mask_.pixels()[static_cast<std::size_t>(y * width + x)];
      if (kept.width < 1 || kept.height < 1 || pixels_outside(kept, x, y) > 0)
        value = 255;
      else if (!before.empty())
        value = before.pixels()[static_cast<std::size_t>((y - inner.top) * inner.width + x - inner.left)];
    }
}

void Canvas::work_on(const Area& area, Index width, Index height) {
  auto& input = request_.input;
  const auto part = [&](const Image& whole) {
    return fitted(cut_out(whole, area.left, area.top, area.width, area.height), width, height, Fit::inside);
  };
  area_ = area;
  input.image = part(input.image);
  input.mask = part(input.mask);
  // What controls keep to lies over the whole picture.
  for (auto& use : request_.controls)
    if (!use.image.empty())
      use.image = part(resized_as(use.image, picture_.width(), picture_.height(), use.resize));
  request_.size = {width, height};
}

Image Canvas::finished(const Image& made) const {
  if (!area_ && !keeps_ && !shown_) return made;
  Image result = made.to_channels(3);
  Image picture = picture_, mask = mask_;
  if (area_) {
    const auto part = fitted(result, area_->width, area_->height, Fit::over);
    result = picture;
    for (Index y = 0; y < area_->height; ++y)
      std::copy_n(part.pixels().data() + y * area_->width * 3, area_->width * 3,
                  result.pixels().data() + ((area_->top + y) * picture.width() + area_->left) * 3);
  } else if (keeps_) {
    picture = picture.resized(made.width(), made.height());
    mask = mask.resized(made.width(), made.height());
  }
  if (keeps_) {
    // A grey mask says how strongly is painted, not how much of it is seen.
    if (request_.input.inpainting.differential)
      for (auto& value : mask.pixels()) value = value > 0 ? 255 : 0;
    result = composite(result, picture, mask);
  }
  if (!shown_) return result;
  const auto scaled = [&](Index side, Index from, Index to) { return std::max<Index>(1, side * to / from); };
  return cut_out(result, 0, 0, scaled(shown_->width, picture_.width(), result.width()),
                 scaled(shown_->height, picture_.height(), result.height()));
}

void Canvas::describe() {
  const auto& how = request_.input.inpainting;
  const auto add = [&](const char* key, std::string value) {
    parameters_.emplace_back(key, std::move(value));
  };
  const bool masked = !request_.input.mask.empty();
  if (!masked) return;
  add("Mask blur", number(how.mask_blur));  // also says that there is a mask
  if (how.mask_grow != 0) add("Mask grow", std::to_string(how.mask_grow));
  if (how.only_masked) {
    add("Inpaint area", "Only masked");
    add("Masked area padding", std::to_string(*how.only_masked));
  }
  if (how.content != MaskedContent::original) add("Masked content", masked_content_name(how.content));
  if (how.differential) add("Differential mask", "True");
  if (how.keep_unmasked) add("Keep unmasked", *how.keep_unmasked ? "True" : "False");
  const auto& out = how.outpaint;
  if (!out.any()) return;
  if (masked_) add("Mask", "given");  // beside what is new
  add("Outpaint", std::to_string(out.left) + " " + std::to_string(out.top) + " " + std::to_string(out.right) +
                      " " + std::to_string(out.bottom));
  add("Outpaint overlap", std::to_string(out.overlap));
}

}  // namespace daguerre
