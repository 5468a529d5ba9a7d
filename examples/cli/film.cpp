#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>

#include <daguerre/daguerre.hpp>
#include <daguerre/media/film.hpp>

#include "files.hpp"
#include "film_options.hpp"
#include "film_sheet.hpp"
#include "interrupt.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

constexpr std::size_t most_frames_read = 4096;  // of a film that is held in memory

/// Films that are given are held in memory as they are read: in all so many bytes of them.
class FrameBudget {
 public:
  /// Of the memory limit, where there is one, half.
  explicit FrameBudget(std::optional<double> memory_limit)
      : left_(memory_limit ? *memory_limit * 0.5e9 : 4e9), all_(left_) {}

  /// The next frames of a film, `most` at most. Throws ArgumentError where they are more than can be held.
  std::vector<Image> take(FilmReader& reader, const std::string& path, std::size_t most) {
    std::vector<Image> frames;
    while (frames.size() < most) {
      auto frame = reader.next();
      if (!frame) break;
      left_ -= static_cast<double>(frame->pixels().size());
      if (left_ < 0.0)
        throw ArgumentError(path,
                            "the films that are given take more than " + megabytes(all_) +
                                " in memory, this one behind frame " + std::to_string(frames.size()) +
                                "; give fewer frames (--frames) or smaller ones, or raise --memory-limit");
      frames.push_back(std::move(*frame));
    }
    return frames;
  }
  /// All of a film or a picture.
  std::vector<Image> take(const std::string& path) {
    FilmReader reader(path);
    return take(reader, path, most_frames_read);
  }

 private:
  static std::string megabytes(double bytes) {
    const auto tenths = static_cast<int>(bytes / 1e5);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
  }
  double left_, all_;
};

/// "FILE@FRAME" or "FILE@FRAME:STRENGTH".
FrameCondition condition_called(const std::string& text, FrameBudget& budget) {
  const auto wrong = [&] {
    return ArgumentError("--condition", "\"" + text + "\" is not FILE@FRAME or FILE@FRAME:STRENGTH");
  };
  const auto at = text.rfind('@');
  if (at == text.npos || at == 0) throw wrong();
  FrameCondition condition;
  const char* const end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data() + at + 1, end, condition.at);
  if (error != std::errc()) throw wrong();
  if (rest != end) {
    if (*rest != ':') throw wrong();
    const auto [last, problem] = std::from_chars(rest + 1, end, condition.strength);
    if (problem != std::errc() || last != end) throw wrong();
  }
  condition.pictures = budget.take(text.substr(0, at));
  return condition;
}

/// Everything that can be wrong about the files named in the order shows here, before the model is loaded.
void read_inputs(FilmAsk& ask) {
  auto& film = ask.order.request.film;
  FrameBudget budget(ask.order.memory_limit);
  const auto at_frame = [&](const std::string& file, Index frame) {
    if (!file.empty()) film.conditions.push_back({.pictures = {Image::load(file)}, .at = frame});
  };
  at_frame(ask.image, 0);
  for (const auto& text : ask.conditions) film.conditions.push_back(condition_called(text, budget));
  at_frame(ask.last_image, -1);
  if (ask.frames && *ask.frames == 0)
    throw ArgumentError("--frames", "a film of 0 frames is nothing; expected 1 or more");
  film.frames = ask.frames.value_or(0);
  film.frame_rate = ask.fps.value_or(0.0);
  if (!ask.init_video.empty()) {
    FilmReader reader(ask.init_video);
    if (!ask.fps) film.frame_rate = reader.info().frame_rate;
    const auto most = ask.frames ? static_cast<std::size_t>(*ask.frames) + 8 : most_frames_read;
    film.video = budget.take(reader, ask.init_video, std::min(most, most_frames_read));
    if (film.video.empty()) throw FormatError("--init-video", ask.init_video + ": there is no frame in it");
    if (!ask.frames && film.video.size() == most_frames_read && reader.next())
      throw ArgumentError("--init-video", ask.init_video + ": has more than " +
                                              std::to_string(most_frames_read) +
                                              " frames; say with --frames how many to take");
  }
  if (ask.tile || ask.tile_overlap)
    ask.order.request.tiles = {.size = ask.tile.value_or(0), .overlap = ask.tile_overlap.value_or(-1)};
  if (!ask.mask.empty()) film.mask = budget.take(ask.mask);
  for (const auto& file : ask.references) film.references.push_back(Image::load(file));
}

std::filesystem::path path_of(const FilmAsk& ask, int film) {
  const int count = ask.order.request.output.count.value_or(1);
  return count == 1 ? std::filesystem::path(ask.order.out) : numbered(ask.order.out, film + 1);
}

/// Whether two names are one file's, as far as that can be told before there is one.
bool is_same_file(const std::string& a, const std::string& b) {
  const auto whole = [](const std::string& name) {
    std::error_code error;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(name, error), error);
  };
  return !a.empty() && !b.empty() && (a == b || whole(a) == whole(b));
}

/// How fast the film is to be shown, as far as that is known before the model is loaded; else 0.
double known_rate(const FilmAsk& ask) {
  const auto& film = ask.order.request.film;
  return film.frame_rate * std::max(1, film.interpolate);
}

void check_outputs(const FilmAsk& ask) {
  const std::string* const outputs[] = {&ask.order.out, &ask.sheet, &ask.preview};
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < i; ++k)
      if (is_same_file(*outputs[i], *outputs[k]))
        throw ArgumentError(i == 1 ? "--sheet" : "--preview",
                            *outputs[i] + ": another output has that name already");
  auto options = ask.file;
  if (const double rate = known_rate(ask); rate > 0.0) options.frame_rate = rate;
  const int count = ask.order.request.output.count.value_or(1);
  if (ask.order.out == "-" && count > 1)
    throw ArgumentError("--out", "standard output takes one film, --count is " + std::to_string(count));
  for (int i = 0; i < count && ask.order.out != "-"; ++i) {
    const auto path = path_of(ask, i);
    std::error_code error;
    const bool is_folder = std::filesystem::is_directory(path, error);
    if (!is_folder) check_writable("--out", path);
    // What cannot be written so shows before anything is computed; a file that is not finished is none.
    if (is_folder || path.has_extension()) FilmWriter(path, options);
  }
  if (!ask.sheet.empty()) check_writable("--sheet", ask.sheet);
  if (ask.preview.empty()) return;
  // It is written again and again: a stream or a folder would have them all.
  if (ask.preview == "-" || !std::filesystem::path(ask.preview).has_extension())
    throw ArgumentError("--preview", ask.preview + ": name a file, which each preview replaces");
  check_writable("--preview", ask.preview);
  FilmWriter(ask.preview, options);
}

}  // namespace

void carry_out(FilmAsk ask) {
  auto& order = ask.order;
  auto& request = order.request;
  const Interrupt interrupt;
  Progress progress(order.quiet);
  settle_machine(order);
  order.load.log = progress.warnings();
  settle_loras(order);
  request.output.count = order.count.value_or(1);
  request.output.latents = false;
  read_inputs(ask);
  check_outputs(ask);

  request.sampling.seed = order.seed ? *order.seed : std::random_device{}();
  progress.stage("loading " + model_name(order));
  const auto pipeline = load(order, interrupt);
  progress.loaded();
  if (!pipeline.info().makes_films)
    throw ArgumentError(model_name(order),
                        "makes pictures, not films; --motion takes motion modules for Stable Diffusion 1");
  if (!request.sampling.steps) request.sampling.steps = std::min(order.usual_steps, pipeline.info().steps);

  request.stop = interrupt.token();
  request.on_step = [&](const Step& step) {
    if (step.index == 0) introduce(order, pipeline, progress);
    progress.step(step);
    const bool last = step.index + 1 == step.total;
    if (!ask.preview.empty() && !last && (step.index + 1) % order.preview_every == 0) {
      FilmOptions options = ask.file;
      options.frame_rate =
          request.film.frame_rate > 0.0 ? request.film.frame_rate : pipeline.info().frame_rate;
      FilmWriter film(ask.preview, options);
      for (const auto& frame : step.preview_film()) film.write(frame);
      film.finish();
    }
    if (last) progress.decoding();
    return !interrupt.requested();
  };
  std::optional<FilmWriter> writer;
  std::vector<std::filesystem::path> written;
  FilmSheet sheet;
  int current = -1;
  const auto finish = [&] {
    if (!writer) return;
    writer->finish();
    writer.reset();
    if (order.out != "-") std::printf("%s\n", path_of(ask, current).string().c_str());
  };
  std::string settings;
  request.on_frame = [&](const FilmFrame& frame) {
    if (frame.film != current) {
      finish();
      current = frame.film;
      FilmOptions options = ask.file;
      options.frame_rate = frame.frame_rate;
      options.text = frame.settings;
      writer.emplace(path_of(ask, current), options);
    }
    writer->write(frame.image);
    if (!ask.sheet.empty() && frame.film == 0) {
      if (frame.index == 0) settings = frame.settings;
      sheet.add(frame.image, frame.index, frame.total);
    }
    progress.stage("frame " + std::to_string(frame.index + 1) + " of " + std::to_string(frame.total));
    return !interrupt.requested();
  };
  (void)pipeline.generate(request);
  finish();
  progress.finished();
  if (ask.sheet.empty()) return;
  sheet.save_png(ask.sheet, settings);
  if (order.out != "-") std::printf("%s\n", ask.sheet.c_str());
}

}  // namespace daguerre::cli
