#include "pipeline/interpolation.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/film_plan.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prepare.hpp"

namespace daguerre {
namespace {

/// So far on the way from one frame to the next one, of the same size.
Image between(const Image& from, const Image& to, double part) {
  Image result(from.width(), from.height(), 3);
  const auto a = from.pixels(), b = to.pixels();
  auto out = result.pixels();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(std::lround((1.0 - part) * a[i] + part * b[i]));
  return result;
}

/// What the frames of an interpolated film may be at most in bytes, with all that are made of them.
constexpr double most_blended_bytes = 16e9;

/// Throws ArgumentError for films that are too long or take too much memory, before there is anything of
/// them.
void check_blended(const FilmTask& given, Index frames, bool are_made) {
  const auto who = [&] {
    return std::to_string(given.video.size()) + " frames interpolated by " +
           std::to_string(given.interpolate);
  };
  if (frames > most_film_frames)
    throw ArgumentError(pipeline_name, who() + " are " + std::to_string(frames) + ", expected at most " +
                                           std::to_string(most_film_frames));
  const auto& first = given.video.front();
  const auto count = static_cast<double>(given.video.size()) + (are_made ? static_cast<double>(frames) : 0.0);
  const double bytes = 3.0 * count * static_cast<double>(first.width()) * static_cast<double>(first.height());
  if (bytes > most_blended_bytes)
    throw ArgumentError(pipeline_name,
                        who() + ", of " + std::to_string(first.width()) + " x " +
                            std::to_string(first.height()) + ", take " +
                            std::to_string(std::llround(bytes / 1e9)) +
                            " GB, expected at most 16 GB; give it fewer frames or smaller ones");
}

std::vector<Image> blended(const std::vector<Image>& frames, int factor) {
  std::vector<Image> result;
  for (std::size_t i = 0; i + 1 < frames.size(); ++i)
    for (int k = 0; k < factor; ++k)
      result.push_back(between(frames[i], frames[i + 1], static_cast<double>(k) / factor));
  result.push_back(frames.back());
  return result;
}

std::vector<Image> alike(const std::vector<Image>& given) {
  std::vector<Image> frames;
  for (const auto& frame : given) {
    if (frame.empty()) throw ArgumentError(pipeline_name, "a frame of the film to interpolate is empty");
    const auto colours = frame.to_channels(3);
    const auto& first = frames.empty() ? colours : frames.front();
    frames.push_back(colours.resized(first.width(), first.height()));
  }
  return frames;
}

}  // namespace

Request interpolated(const Request& request, const Model& model) {
  const auto& given = request.film;
  const auto& family = model.family();
  if (given.interpolate == 0 || given.interpolate == 1) return request;
  const auto refuse = [&](const std::string& what) { throw ArgumentError(pipeline_name, what); };
  constexpr int most = 64;
  if (given.interpolate < 0 || given.interpolate > most)
    refuse("interpolate is " + std::to_string(given.interpolate) + ", expected 1 to " + std::to_string(most));
  if (given.video.size() < 2)
    refuse("there is nothing between " + std::to_string(given.video.size()) +
           " frames: to interpolate takes a film of two at least");
  using At = FilmTasks::Conditions;
  const auto can = family.films.conditions;
  if (can != At::any && can != At::first_and_last)
    refuse(family.title + " keeps to no frames of a film: it cannot make those between them");
  if (can == At::first_and_last && given.video.size() > 2)
    refuse(family.title + " is told the first frame and the last: give it two frames at a time, not " +
           std::to_string(given.video.size()));
  if (!given.conditions.empty() || given.frames != 0)
    refuse("a film that is interpolated has the frames and the length of the one that it is made from");

  const auto last = static_cast<Index>(given.video.size()) - 1;
  const Index count = last * given.interpolate + 1;
  check_blended(given, count, family.films.video);

  auto result = request;
  auto& film = result.film;
  const auto frames = alike(given.video);
  film.video.clear();
  film.interpolate = 0;
  film.frames = count;
  film.frame_rate = model.frame_rate_of({.film = film}) * given.interpolate;
  if (const Index made = model.frames_of({.film = film}); made != film.frames)
    refuse(std::to_string(frames.size()) + " frames interpolated by " + std::to_string(given.interpolate) +
           " are " + std::to_string(film.frames) + ", and " + family.title + " makes " +
           std::to_string(made) + " at the nearest");
  if (family.films.video) film.video = blended(frames, given.interpolate);
  for (Index i = 0; i <= last; ++i)
    film.conditions.push_back({{frames[static_cast<std::size_t>(i)]}, i * given.interpolate, 1.0});
  if (film.windows.frames == 0 && film.frames > family.defaults.frames && family.defaults.frames > 1)
    film.windows = {.frames = family.defaults.frames,
                    .stride = std::max<Index>(1, family.defaults.frames / 2),
                    .noise = FilmWindows::Noise::random};
  if (!result.size.width && !result.size.height) {
    const Index multiple = model.format().space_ratio * model.denoiser().side_multiple;
    result.size = {frames.front().width() / multiple * multiple,
                   frames.front().height() / multiple * multiple};
  }
  return result;
}

}  // namespace daguerre
