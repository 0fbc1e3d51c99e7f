//! Each chart as a picture that any browser and any README shows.
