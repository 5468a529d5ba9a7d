#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/pipeline/micro_conditioning.hpp"
#include "daguerre/pipeline/request.hpp"

namespace daguerre {

/// A rectangle of pixels: from (left, top) on, so wide and so high.
struct Area {
  Index left = 0, top = 0, width = 0, height = 0;
  bool operator==(const Area&) const = default;
};

/// The bounds of what is not black in a grey mask and `padding` pixels around them, inside of the picture
/// (the web UI's get_crop_region). nullopt where all is black.
std::optional<Area> bounds_of(const Image& mask, Index padding);
/// That area made wider or higher, until it has the proportions of `width` x `height`, or the picture ends
/// (the web UI's expand_crop_region).
Area in_proportion(const Area& area, Index width, Index height, const Image& picture);

/// What a request's picture and mask are worked on as, and what becomes of the result: everything around a
/// mask that is done in pixels (Inpainting).
class Canvas {
 public:
  /// `multiple` is what sides must be multiples of, `trained` the size that the model was trained at, height
  /// first. Throws ArgumentError for what is not possible.
  static Canvas of(const Request& request, Index multiple, const Extent& trained);

  /// What the model is to make, in the place of the host's request.
  const Request& request() const noexcept { return request_; }
  /// The picture that the host sees, of what the model made.
  Image finished(const Image& made) const;
  /// For the settings' text.
  const std::vector<std::pair<std::string, std::string>>& parameters() const noexcept { return parameters_; }

 private:
  explicit Canvas(const Request& request) : request_(request) {}
  void grow_picture(Index multiple);
  void work_on(const Area& area, Index width, Index height);
  void describe();

  Request request_;
  Image picture_;        // whole, RGB
  Image mask_;           // of the same size, grey, grown and blurred
  bool masked_ = false;  // by the host
  bool keeps_ = false;
  std::optional<Area> area_;   // that is worked on alone
  std::optional<Area> shown_;  // of the canvas
  std::vector<std::pair<std::string, std::string>> parameters_;
};

}  // namespace daguerre
