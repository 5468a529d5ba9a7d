#include "media/film_file.hpp"

#if DAGUERRE_HAS_LIBAV

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include "daguerre/core/error.hpp"
#include "media/picture_file.hpp"
#include "media/yuv.hpp"

// Films by libavformat, libavcodec and libswscale. Files are opened here and handed over as streams of bytes,
// so that no name is taken for a protocol's.

namespace daguerre {
namespace {

/// libav writes what it finds wrong to standard error; here errors say it. Its level is the process's: it is
/// put back behind each call.
class QuietLibav {
 public:
  QuietLibav() : level_(av_log_get_level()) { av_log_set_level(AV_LOG_QUIET); }
  QuietLibav(const QuietLibav&) = delete;
  QuietLibav& operator=(const QuietLibav&) = delete;
  ~QuietLibav() {
    if (level_ != AV_LOG_QUIET) av_log_set_level(level_);
  }

 private:
  int level_;
};

std::string libav_reason(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

struct LibavFree {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
  void operator()(AVIOContext* stream) const {
    if (stream != nullptr) av_freep(&stream->buffer);
    avio_context_free(&stream);
  }
};
template <class T>
using Libav = std::unique_ptr<T, LibavFree>;

template <class T>
T* needed(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

constexpr int libav_buffer = 1 << 16;

/// Encoders by preference, of what a container usually holds.
std::span<const char* const> usual_codecs(std::string_view container) {
  static constexpr std::array<const char*, 3> webm{"libvpx-vp9", "libvpx", "libaom-av1"};
  static constexpr std::array<const char*, 1> avi{"mpeg4"};
  static constexpr std::array<const char*, 3> others{"libx264", "libopenh264", "mpeg4"};
  if (container == "webm") return webm;
  if (container == "avi") return avi;
  return others;
}

const AVCodec* codec_for(const std::string& name, std::string_view container) {
  if (!name.empty()) {
    const AVCodec* codec = avcodec_find_encoder_by_name(name.c_str());
    if (codec == nullptr || codec->type != AVMEDIA_TYPE_VIDEO)
      throw ArgumentError(film_name, "libavcodec has no encoder of films named \"" + name + "\"");
    return codec;
  }
  std::string tried;
  for (const char* usual : usual_codecs(container)) {
    if (const AVCodec* codec = avcodec_find_encoder_by_name(usual)) return codec;
    tried += std::string(tried.empty() ? "" : ", ") + usual;
  }
  throw ArgumentError(film_name, "libavcodec has none of the encoders " + tried + "; name another one");
}

class LibavWriter : public FilmWriter::Encoder {
 public:
  LibavWriter(const std::filesystem::path& path, const FilmOptions& options, std::string_view container)
      : path_(path),
        output_(path),
        options_(options),
        container_(container),
        codec_(codec_for(options.codec, container)) {}

  ~LibavWriter() override {
    const QuietLibav quiet;
    codec_context_.reset();
    avformat_free_context(format_);
  }

  void write(const Image& given) override {
    const QuietLibav quiet;
    const Image image = without_alpha(given);
    if (format_ == nullptr) begin(image);
    check(av_frame_make_writable(frame_.get()), "take a frame");
    const std::string planes = to_yuv(image, layout_);
    const std::uint8_t* from = reinterpret_cast<const std::uint8_t*>(planes.data());
    for (std::size_t plane = 0; plane < 3; ++plane) {
      const Index columns = plane == 0 ? image.width() : layout_.chroma_width(image.width());
      const Index rows = plane == 0 ? image.height() : layout_.chroma_height(image.height());
      for (Index y = 0; y < rows; ++y, from += columns)
        std::copy_n(from, columns, frame_->data[plane] + y * frame_->linesize[plane]);
    }
    frame_->pts = count_++;
    check(avcodec_send_frame(codec_context_.get(), frame_.get()), "code a frame");
    take_packets();
  }

  void finish() override {
    const QuietLibav quiet;
    check(avcodec_send_frame(codec_context_.get(), nullptr), "code the last frames");
    take_packets();
    check(av_write_trailer(format_), "end the film");
    avio_flush(stream_.get());
    if (failure_) std::rethrow_exception(failure_);
    output_.finish();
  }

 private:
  void begin(const Image& image) {
    check(avformat_alloc_output_context2(&format_, nullptr, std::string(container_).c_str(), nullptr),
          "write this container");
    auto* buffer = static_cast<unsigned char*>(needed(av_malloc(libav_buffer)));
    stream_.reset(needed(
        avio_alloc_context(buffer, libav_buffer, 1, this, nullptr, &LibavWriter::put, &LibavWriter::seek)));
    format_->pb = stream_.get();
    format_->flags |= AVFMT_FLAG_CUSTOM_IO;
    open_codec(image);
    AVStream* track = needed(avformat_new_stream(format_, nullptr));
    check(avcodec_parameters_from_context(track->codecpar, codec_context_.get()), "describe the film");
    track->time_base = codec_context_->time_base;
    track->avg_frame_rate = codec_context_->framerate;
    if (!options_.text.empty())
      check(av_dict_set(&format_->metadata, "comment", options_.text.c_str(), 0), "keep the settings");
    check(avformat_write_header(format_, nullptr), "begin the film");
    frame_.reset(needed(av_frame_alloc()));
    packet_.reset(needed(av_packet_alloc()));
    frame_->format = codec_context_->pix_fmt;
    frame_->width = codec_context_->width;
    frame_->height = codec_context_->height;
    frame_->colorspace = codec_context_->colorspace;
    frame_->color_range = codec_context_->color_range;
    check(av_frame_get_buffer(frame_.get(), 0), "take a frame");
  }

  void open_codec(const Image& image) {
    codec_context_.reset(needed(avcodec_alloc_context3(codec_)));
    auto& context = *codec_context_;
    const auto rate = nearest_fraction(options_.frame_rate, 65535);  // of MPEG-4's time base
    context.width = static_cast<int>(image.width());
    context.height = static_cast<int>(image.height());
    context.framerate = {static_cast<int>(rate.p), static_cast<int>(rate.q)};
    context.time_base = {static_cast<int>(rate.q), static_cast<int>(rate.p)};
    context.pix_fmt = options_.full_chroma ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV420P;
    layout_.columns = layout_.rows = options_.full_chroma ? 1 : 2;
    layout_.full_range = options_.full_range;
    context.color_range = options_.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    context.colorspace = AVCOL_SPC_SMPTE170M;
    context.color_primaries = AVCOL_PRI_BT709;
    context.color_trc = AVCOL_TRC_IEC61966_2_1;
    context.gop_size = 48;
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_quality(context);
    const int opened = avcodec_open2(&context, codec_, nullptr);
    if (opened < 0)
      throw ArgumentError(film_name, path_.string() + ": " + codec_->name + " cannot code films of " +
                                         std::to_string(image.width()) + " x " +
                                         std::to_string(image.height()) +
                                         (image.width() % 2 + image.height() % 2 == 0
                                              ? ""
                                              : " (most need even sides; GIF, APNG, WebP and Y4M do not)") +
                                         ": " + libav_reason(opened));
  }

  /// Encoders with a constant quality of their own take that, others the quantiser of old.
  void set_quality(AVCodecContext& context) const {
    const double lack = (100.0 - options_.quality) / 100.0;
    void* own = context.priv_data;
    const bool has_factor = own != nullptr && av_opt_find(own, "crf", nullptr, 0, 0) != nullptr;
    const bool is_vpx = std::string_view(codec_->name).starts_with("libvpx") ||
                        std::string_view(codec_->name).starts_with("libaom");
    if (has_factor) {
      av_opt_set_double(own, "crf", is_vpx ? 4.0 + 59.0 * lack : 8.0 + 43.0 * lack, 0);
      context.bit_rate = 0;
      // Where nobody says how fast to be, the slowest is meant.
      if (is_vpx) av_opt_set(own, "cpu-used", "4", 0);
    } else {
      context.flags |= AV_CODEC_FLAG_QSCALE;
      context.global_quality = static_cast<int>(FF_QP2LAMBDA * (2.0 + 29.0 * lack));
    }
  }

  void take_packets() {
    for (;;) {
      const int result = avcodec_receive_packet(codec_context_.get(), packet_.get());
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
      check(result, "code a frame");
      packet_->duration = packet_->duration == 0 ? 1 : packet_->duration;
      av_packet_rescale_ts(packet_.get(), codec_context_->time_base, format_->streams[0]->time_base);
      packet_->stream_index = 0;
      const int written = av_interleaved_write_frame(format_, packet_.get());
      if (failure_) std::rethrow_exception(failure_);
      check(written, "write a frame");
    }
  }

  void check(int result, const char* what) const {
    if (result < 0)
      throw FileError(film_name, path_.string() + ": libav cannot " + what + ": " + libav_reason(result),
                      path_);
  }

  // Called by libav, which knows no exceptions.
  static int put(void* self, std::uint8_t* bytes, int count) {
    auto& writer = *static_cast<LibavWriter*>(self);
    try {
      const std::string_view text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
      if (writer.position_ == writer.output_.size()) {
        writer.output_.put(text);
      } else {
        writer.output_.put_at(writer.position_, text);
      }
      writer.position_ += text.size();
      return count;
    } catch (...) {
      writer.failure_ = std::current_exception();
      return AVERROR(EIO);
    }
  }
  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& writer = *static_cast<LibavWriter*>(self);
    const auto size = static_cast<std::int64_t>(writer.output_.size());
    if (whence == AVSEEK_SIZE) return size;
    const std::int64_t from = whence == SEEK_SET   ? 0
                              : whence == SEEK_END ? size
                                                   : static_cast<std::int64_t>(writer.position_);
    if (from + offset < 0) return AVERROR(EINVAL);
    writer.position_ = static_cast<std::uint64_t>(from + offset);
    return from + offset;
  }

  std::filesystem::path path_;
  FilmOutput output_;
  FilmOptions options_;
  std::string container_;
  const AVCodec* codec_;
  YuvLayout layout_;
  std::uint64_t position_ = 0;
  std::exception_ptr failure_;
  Libav<AVIOContext> stream_;
  AVFormatContext* format_ = nullptr;
  Libav<AVCodecContext> codec_context_;
  Libav<AVFrame> frame_;
  Libav<AVPacket> packet_;
  std::int64_t count_ = 0;
};

struct LibavFileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class LibavReader : public FilmReader::Decoder {
 public:
  LibavReader(const std::filesystem::path& path, std::string_view demuxer, std::string_view format)
      : path_(path), file_(std::fopen(path.string().c_str(), "rb")) {
    if (file_ == nullptr)
      throw FileError(film_name,
                      path.string() + ": cannot be read: " + std::generic_category().message(errno), path);
    info_.format = format;
    const QuietLibav quiet;
    open(std::string(demuxer));
    open_codec();
    packet_.reset(needed(av_packet_alloc()));
    frame_.reset(needed(av_frame_alloc()));
    describe();
  }

  ~LibavReader() override {
    const QuietLibav quiet;
    codec_context_.reset();
    format_.reset();
  }

  std::optional<Image> next() override {
    const QuietLibav quiet;
    for (;;) {
      const int got = avcodec_receive_frame(codec_context_.get(), frame_.get());
      if (got == AVERROR_EOF) return std::nullopt;
      if (got == 0) {
        ++at_;
        return picture();
      }
      if (got != AVERROR(EAGAIN))
        fail("cannot be decoded behind frame " + std::to_string(at_) + ": " + libav_reason(got));
      feed();
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw film_error(path_, message); }

  void open(const std::string& demuxer) {
    AVFormatContext* format = needed(avformat_alloc_context());
    auto* buffer = static_cast<unsigned char*>(needed(av_malloc(libav_buffer)));
    stream_.reset(needed(avio_alloc_context(buffer, libav_buffer, 0, file_.get(), &LibavReader::get, nullptr,
                                            &LibavReader::seek)));
    format->pb = stream_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    const AVInputFormat* input = av_find_input_format(demuxer.c_str());
    format_.reset(format);
    if (input == nullptr) fail("libavformat has no reader for " + std::string(info_.format));
    format = format_.release();
    const int opened = avformat_open_input(&format, nullptr, input, nullptr);  // frees it where it fails
    format_.reset(opened < 0 ? nullptr : format);
    if (opened < 0)
      fail("cannot be read as a film in " + std::string(info_.format) + ": " + libav_reason(opened));
    if (avformat_find_stream_info(format_.get(), nullptr) < 0)
      fail("cannot be read: nothing is known of its streams");
    track_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (track_ < 0) fail("there are no pictures in this file");
  }

  void open_codec() {
    const auto& parameters = *format_->streams[track_]->codecpar;
    PictureFile{{}, name_ = path_.string()}.check_size(parameters.width, parameters.height);
    const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
    if (codec == nullptr)
      fail("libavcodec has no decoder for " + std::string(avcodec_get_name(parameters.codec_id)));
    codec_context_.reset(needed(avcodec_alloc_context3(codec)));
    codec_context_->max_pixels = Image::max_pixels;
    if (avcodec_parameters_to_context(codec_context_.get(), &parameters) < 0 ||
        avcodec_open2(codec_context_.get(), codec, nullptr) < 0)
      fail("libavcodec cannot decode it");
  }

  void describe() {
    const auto& stream = *format_->streams[track_];
    info_.width = stream.codecpar->width;
    info_.height = stream.codecpar->height;
    const AVRational rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
    if (rate.num > 0 && rate.den > 0) info_.frame_rate = av_q2d(rate);
    if (stream.nb_frames > 0) info_.frames = stream.nb_frames;
    if (const auto* entry = av_dict_get(format_->metadata, "comment", nullptr, 0)) info_.text = entry->value;
  }

  /// Gives the decoder the film's next packet, or its end.
  void feed() {
    for (;;) {
      const int read = av_read_frame(format_.get(), packet_.get());
      if (read == AVERROR_EOF) {
        avcodec_send_packet(codec_context_.get(), nullptr);
        return;
      }
      if (read < 0) fail("cannot be read behind frame " + std::to_string(at_) + ": " + libav_reason(read));
      const bool is_ours = packet_->stream_index == track_;
      const int sent = is_ours ? avcodec_send_packet(codec_context_.get(), packet_.get()) : 0;
      av_packet_unref(packet_.get());
      if (sent < 0) fail("cannot be decoded behind frame " + std::to_string(at_) + ": " + libav_reason(sent));
      if (is_ours) return;
    }
  }

  Image picture() {
    if (frame_->width != info_.width || frame_->height != info_.height)
      fail("changes its size behind frame " + std::to_string(at_ - 1));
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    scaler_.reset(sws_getCachedContext(
        scaler_.release(), frame_->width, frame_->height, format, frame_->width, frame_->height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (scaler_ == nullptr) fail("libswscale cannot convert its pixels");
    // Where the film does not say, small pictures are BT.601's and large ones BT.709's, as players have it.
    const int space = frame_->colorspace != AVCOL_SPC_UNSPECIFIED ? frame_->colorspace
                      : frame_->height >= 720                     ? AVCOL_SPC_BT709
                                                                  : AVCOL_SPC_SMPTE170M;
    const int* coefficients = sws_getCoefficients(space);
    sws_setColorspaceDetails(scaler_.get(), coefficients, frame_->color_range == AVCOL_RANGE_JPEG ? 1 : 0,
                             coefficients, 1, 0, 1 << 16, 1 << 16);
    Image image(frame_->width, frame_->height, 3);
    // It writes some bytes behind rows whose length it does not like.
    const int stride = (frame_->width * 3 + 63) / 64 * 64;
    row_buffer_.resize(static_cast<std::size_t>(stride) * static_cast<std::size_t>(frame_->height) + 64);
    std::uint8_t* const out[4] = {row_buffer_.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {stride, 0, 0, 0};
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height, out, strides);
    for (Index y = 0; y < image.height(); ++y)
      std::copy_n(row_buffer_.data() + y * stride, image.width() * 3,
                  image.pixels().data() + y * image.width() * 3);
    av_frame_unref(frame_.get());
    return image;
  }

  static int get(void* file, std::uint8_t* room, int count) {
    const auto got = std::fread(room, 1, static_cast<std::size_t>(count), static_cast<std::FILE*>(file));
    return got == 0 ? AVERROR_EOF : static_cast<int>(got);
  }
  static std::int64_t seek(void* stream, std::int64_t offset, int whence) {
    auto* file = static_cast<std::FILE*>(stream);
    const long before = std::ftell(file);
    if (std::fseek(file, static_cast<long>(offset),
                   whence == AVSEEK_SIZE ? SEEK_END : whence & ~AVSEEK_FORCE) != 0)
      return AVERROR(EINVAL);
    const long at = std::ftell(file);
    if (whence == AVSEEK_SIZE) std::fseek(file, before, SEEK_SET);
    return at;
  }

  std::filesystem::path path_;
  std::string name_;
  std::unique_ptr<std::FILE, LibavFileClose> file_;
  Libav<AVIOContext> stream_;
  Libav<AVFormatContext> format_;
  Libav<AVCodecContext> codec_context_;
  Libav<AVPacket> packet_;
  Libav<AVFrame> frame_;
  Libav<SwsContext> scaler_;
  std::vector<std::uint8_t> row_buffer_;
  int track_ = -1;
  std::int64_t at_ = 0;
};

}  // namespace

FilmEncoder write_with_libav(const std::filesystem::path& path, const FilmOptions& options,
                             std::string_view container) {
  return std::make_unique<LibavWriter>(path, options, container);
}

FilmDecoder read_with_libav(const std::filesystem::path& path, std::string_view demuxer,
                            std::string_view format) {
  return std::make_unique<LibavReader>(path, demuxer, format);
}

}  // namespace daguerre

#endif
