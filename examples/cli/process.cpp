#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/media/processors.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "numbers.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

struct ProcessRequest {
  std::string what, from, to, fit = "stretch", over;
  CannyOptions canny;
  int level = 128, width = 0, height = 0;
};

/// "255,128,0" or "ff8000" as a colour.
std::array<std::uint8_t, 3> colour_called(const std::string& text) {
  unsigned red = 0, green = 0, blue = 0;
  char rest = 0;
  const bool is_colour =
      (text.size() == 6 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos &&
       std::sscanf(text.c_str(), "%2x%2x%2x%c", &red, &green, &blue, &rest) == 3) ||
      (std::sscanf(text.c_str(), "%3u,%3u,%3u%c", &red, &green, &blue, &rest) == 3 && red < 256 &&
       green < 256 && blue < 256);
  if (!is_colour)
    throw CLI::ValidationError("--over", "\"" + text + "\" is no colour; expected rrggbb or red,green,blue");
  return {static_cast<std::uint8_t>(red), static_cast<std::uint8_t>(green), static_cast<std::uint8_t>(blue)};
}

Image processed(const ProcessRequest& request, const Image& image) {
  if (request.what == "canny") return canny(image, request.canny);
  if (request.what == "grey") return image.to_channels(1);
  if (request.what == "invert") return inverted(image);
  if (request.what == "scribble") return scribble(image, request.level);
  if (request.what == "threshold") return thresholded(image, request.level);
  return image;
}

void run(const ProcessRequest& request) {
  check_writable("OUT", request.to);
  Image image = Image::load(request.from);
  if (!request.over.empty()) {
    const auto colour = colour_called(request.over);
    image = image.over(colour[0], colour[1], colour[2]);
  }
  if (request.width > 0 || request.height > 0) {
    const Index width = request.width > 0 ? request.width : image.width();
    const Index height = request.height > 0 ? request.height : image.height();
    image = fitted(image, width, height,
                   request.fit == "crop"  ? Fit::crop
                   : request.fit == "pad" ? Fit::pad
                                          : Fit::stretch);
  }
  processed(request, image).save_png(request.to);
  std::printf("%s\n", request.to.c_str());
}

}  // namespace

void add_process(CLI::App& parent) {
  auto* app = parent.add_subcommand("process", "Make a control image of a picture, without a network");
  app->footer(
      "Examples:\n"
      "  daguerre process canny photo.jpg edges.png --low 100 --high 200\n"
      "  daguerre process none photo.webp photo.png --width 512 --height 512 --fit crop\n"
      "  daguerre process grey sticker.png grey.png --over ffffff");
  const auto request = std::make_shared<ProcessRequest>();
  app->add_option(
         "what", request->what,
         "canny: edges as OpenCV finds them; grey; invert; scribble: white where the picture is dark; "
         "threshold: white where it is light; none: only read, resized and written")
      ->check(CLI::IsMember({"canny", "grey", "invert", "scribble", "threshold", "none"}))
      ->type_name("WHAT")
      ->required();
  app->add_option("from", request->from, "The picture")->check(file_name())->type_name("IN")->required();
  app->add_option("to", request->to, "The PNG file to write")
      ->check(png_name())
      ->type_name("OUT")
      ->required();
  constexpr double most = 1e6;
  add_number(*app, "--low", request->canny.low, {.least = 0.0, .most = most},
             "Of canny: edges go on where the gradient is above this")
      ->capture_default_str();
  add_number(*app, "--high", request->canny.high, {.least = 0.0, .most = most},
             "Of canny: and begin where it is above this")
      ->capture_default_str();
  app->add_option("--aperture", request->canny.aperture, "Of canny: the size of the Sobel filters")
      ->check(CLI::IsMember({3, 5, 7}))
      ->capture_default_str()
      ->type_name("3|5|7");
  app->add_flag("--l2", request->canny.l2_gradient,
                "Of canny: the root of the sum of squares, not the sum of amounts");
  add_number(*app, "--level", request->level, {.least = 0, .most = 256},
             "Of scribble and threshold: where dark ends and light begins")
      ->capture_default_str();
  add_number(*app, "--width", request->width, {.least = 1, .most = 16384}, "Resize the picture first");
  add_number(*app, "--height", request->height, {.least = 1, .most = 16384}, "Resize the picture first");
  app->add_option("--fit", request->fit, "How, where the shape is another: stretch, crop or pad")
      ->check(CLI::IsMember({"stretch", "crop", "pad"}))
      ->capture_default_str()
      ->type_name("HOW");
  app->add_option("--over", request->over,
                  "Put what is transparent over this colour, rrggbb or red,green,blue; else alpha is dropped")
      ->type_name("COLOUR");
  app->callback([request] { run(*request); });
}

}  // namespace daguerre::cli
