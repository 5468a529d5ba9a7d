#pragma once

#include <optional>
#include <string>
#include <vector>

#include <daguerre/media/film.hpp>

#include "order.hpp"

namespace daguerre::cli {

/// What a command line that makes a film asks for beside what it asks of pictures.
struct FilmAsk {
  Order order;
  FilmOptions file;  ///< how it is written
  std::optional<Index> frames;
  std::optional<double> fps;
  std::optional<Index> tile, tile_overlap;
  std::string image, last_image, init_video, mask, sheet, preview;
  std::vector<std::string> conditions;  ///< FILE@FRAME or FILE@FRAME:STRENGTH
  std::vector<std::string> references;
};

/// Which of the commands it is.
enum class FilmCommand { txt2vid, img2vid, vid2vid };

/// Adds their options, in the order in which --help shows them.
void add_film_options(CLI::App& app, FilmAsk& ask, FilmCommand command);

/// Loads the model, makes the film, writes its frames as they come. Progress goes to stderr, names of files
/// to stdout, or the film itself where it is named "-".
void carry_out(FilmAsk ask);

}  // namespace daguerre::cli
